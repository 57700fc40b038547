"""A photo of the lake as a browser may see it: decoded here and encoded anew, small, upright and without metadata.

So no hostile file, no script in a drawing and no place of a shot reaches the page.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from PIL import Image

from fledged import images

SIZES_PX = {"thumb": 320, "large": 1600}  # of the longer side
_JPEG_QUALITY = {"thumb": 82, "large": 90}


def picture(path: Path, sha256: str | None, size: str) -> bytes:
    """JPEG bytes of a photo that still is what was scanned. Raises images.BadPhoto with the reason."""
    data = _content(path)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise images.BadPhoto("changed since the scan")
    side_px = SIZES_PX[size]
    _, image = images.decode(data, at_least_px=side_px)
    image.thumbnail((side_px, side_px), Image.Resampling.BICUBIC, reducing_gap=images.REDUCING_GAP)
    return images.to_jpeg(image, _JPEG_QUALITY[size])


def _content(path: Path) -> bytes:
    try:
        # A pipe that took the photo's place must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        raise images.BadPhoto("vanished since the scan" if gone else f"cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise images.BadPhoto("changed since the scan")
        if status.st_size > images.MAX_BYTES:
            raise images.BadPhoto(f"larger than {images.MAX_BYTES / 2**20:.0f} MB")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise images.BadPhoto(f"cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
