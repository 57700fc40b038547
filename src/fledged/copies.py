"""Shrunk copies of photos: upright, small, JPEG, without metadata. What training and the review look at."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image

from fledged import engine, images
from fledged.engine import Engine
from fledged.parts import Parts
from fledged.progress import Report
from fledged.workspace import Workspace

_BLOCK = 1024  # copies in memory at once


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


def kept_copies(size: tuple[int, int], workspace: Workspace) -> Parts:
    """Copies of this size that were made, with the columns sha256 (of the photo), copy (of the copy), jpeg, outline."""
    return Parts(workspace.cache(f"copies/{size[0]}-{size[1]}"), "sha256")


def copies_of(
    photos: pl.DataFrame, lake: Path, size: tuple[int, int], on: Engine, workspace: Workspace, report: Report
) -> Iterator[Shrunk]:
    """The shrunk copy of each photo (columns path, sha256, n_bytes and mtime_ns as scanned), in order.

    `size` is the shorter side in pixels and the JPEG quality. A copy that was made before is taken where the photo's
    file has the size and time that it had then; the other files are read by `on`.
    """
    kept = kept_copies(size, workspace)
    known = photos.select(pl.col("sha256").is_in(kept.known({"sha256": pl.String})["sha256"].implode())).to_series()
    columns = ("path", "n_bytes", "mtime_ns")
    is_kept = [
        there and _is_as_scanned(lake / path, n_bytes, mtime_ns)
        for there, (path, n_bytes, mtime_ns) in zip(known, photos.select(columns).iter_rows(), strict=True)
    ]
    shrink = functools.partial(shrink_file, shorter_side_px=size[0], jpeg_quality=size[1])
    files = [(str(lake / path), sha256) for path, sha256 in photos.select("path", "sha256").iter_rows()]
    fresh = engine.map_photos(
        shrink,
        [file for file, there in zip(files, is_kept, strict=True) if not there],
        on_crash=lambda _: Shrunk(None, "unreadable: its decoder crashed"),
        on=on,
        step="Shrinking photos",
        report=report,
    )
    for start in range(0, len(files), _BLOCK):
        block = slice(start, start + _BLOCK)
        keys = pl.Series([sha256 for (_, sha256), there in zip(files[block], is_kept[block], strict=True) if there])
        jpegs: dict[str, bytes] = {}
        for found in kept.rows_of(keys.unique(), "sha256", "jpeg") if len(keys) else ():
            jpegs.update(found.select("sha256", "jpeg").iter_rows())
        for file, there in zip(files[block], is_kept[block], strict=True):
            if not there:
                yield next(fresh)
            else:  # a part of the cache that could not be read has been left out
                yield Shrunk(jpegs[file[1]], None) if file[1] in jpegs else shrink(file)


def _is_as_scanned(file: Path, n_bytes: int, mtime_ns: int) -> bool:
    try:
        status = file.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (n_bytes, mtime_ns)
