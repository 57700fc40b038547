"""A photo of the lake as a browser may see it: decoded here and encoded anew, small, upright and without metadata.

So no hostile file, no script in a drawing and no place of a shot reaches the page.
"""

from __future__ import annotations

import hashlib

from PIL import Image

from fledged import images
from fledged.errors import LakeError
from fledged.places import Changed, TooLarge
from fledged.reading import File, read
from fledged.regular import NotRegular

SIZES_PX = {"thumb": 320, "large": 1600}  # of the longer side
_JPEG_QUALITY = {"thumb": 82, "large": 90}


def picture(file: File, sha256: str | None, size: str) -> bytes:
    """JPEG bytes of a photo that still is what was scanned. Raises images.BadPhoto with the reason."""
    data = _content(file)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise images.BadPhoto("changed since the scan")
    side_px = SIZES_PX[size]
    _, image = images.decode(data, at_least_px=side_px)
    image.thumbnail((side_px, side_px), Image.Resampling.BICUBIC, reducing_gap=images.REDUCING_GAP)
    return images.to_jpeg(image, _JPEG_QUALITY[size])


def _content(file: File) -> bytes:
    try:
        return read(file, images.MAX_BYTES)
    except FileNotFoundError as error:
        raise images.BadPhoto("vanished since the scan") from error
    except (NotRegular, Changed) as error:
        raise images.BadPhoto("changed since the scan") from error
    except TooLarge as error:
        raise images.BadPhoto(f"larger than {images.MAX_BYTES / 2**20:.0f} MB") from error
    except OSError as error:
        raise images.BadPhoto(f"cannot be read: {error.strerror}") from error
    except LakeError as error:  # a bucket that does not answer; the page stays
        raise images.BadPhoto(error.what) from error
