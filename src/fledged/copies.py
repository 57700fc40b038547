"""Shrunk copies of photos: upright, small, JPEG, without metadata. What training and the review look at."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fledged import engine, images
from fledged.progress import Report


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shrunk copy of a photo, or why there is none."""

    jpeg: bytes | None
    error: str | None


class Gone(Exception):
    """The photo is not what was scanned any more, or cannot be read; the message is the reason."""


def shrunk_image(path: str, sha256: str, shorter_side_px: int) -> Image.Image:
    """The photo, upright and small, if the file still is what was scanned. Raises Gone."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Gone("vanished since the scan") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Gone("changed since the scan")
    try:
        _, image = images.decode(data, at_least_px=int(shorter_side_px * images.REDUCING_GAP))
    except images.BadPhoto as reason:
        raise Gone(f"unreadable: {reason}") from reason
    return images.shrink(image, shorter_side_px)


def shrink_file(path_and_sha256: tuple[str, str], shorter_side_px: int, jpeg_quality: int) -> Shrunk:
    """A small upright JPEG without metadata, or why there is none. Runs in worker processes."""
    try:
        return Shrunk(images.to_jpeg(shrunk_image(*path_and_sha256, shorter_side_px), jpeg_quality), None)
    except Gone as reason:
        return Shrunk(None, str(reason))


def shrink_all(
    files: Sequence[tuple[str, str]], size: tuple[int, int], workers: int, step: str, report: Report
) -> Iterator[Shrunk]:
    """The shrunk copy of each (path, sha256), in order; `size` is the shorter side in pixels and the JPEG quality."""
    return engine.map_photos(
        functools.partial(shrink_file, shorter_side_px=size[0], jpeg_quality=size[1]),
        files,
        on_crash=lambda _: Shrunk(None, "unreadable: its decoder crashed"),
        workers=workers,
        step=step,
        report=report,
    )
