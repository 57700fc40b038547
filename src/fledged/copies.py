"""Shrunk copies of photos: upright, small, JPEG, without metadata. What training and the review look at."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image

from fledged import engine, images, listing, places
from fledged.engine import Engine
from fledged.errors import naming
from fledged.parts import Parts
from fledged.places import Changed
from fledged.progress import Report
from fledged.reading import File, NotRegular, Spot, read, spots
from fledged.workspace import Workspace

_BLOCK = 1024  # copies in memory at once


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shrunk copy of a photo, or why there is none."""

    jpeg: bytes | None
    error: str | None


class Gone(Exception):
    """The photo is not what was scanned any more, or cannot be read; the message is the reason."""


def shrunk_image(file: File, sha256: str, shorter_side_px: int) -> Image.Image:
    """The photo, upright and small, if the file still is what was scanned.

    Raises Gone, and OSError where the disk does not give what it holds: to leave the photo out for that would be for
    good, since the same photos and settings are the same dataset.
    """
    try:
        with naming(file.place if isinstance(file, Spot) else file):
            data = read(file)
    except Changed as error:
        raise Gone("changed since the scan") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotRegular) as error:
        raise Gone("vanished since the scan") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Gone("changed since the scan")
    try:
        _, image = images.decode(data, at_least_px=int(shorter_side_px * images.REDUCING_GAP))
    except images.BadPhoto as reason:
        raise Gone(f"unreadable: {reason}") from reason
    return images.shrink(image, shorter_side_px)


def shrink_file(file_and_sha256: tuple[File, str], shorter_side_px: int, jpeg_quality: int) -> Shrunk:
    """A small upright JPEG without metadata, or why there is none. Runs in worker processes."""
    try:
        return Shrunk(images.to_jpeg(shrunk_image(*file_and_sha256, shorter_side_px), jpeg_quality), None)
    except Gone as reason:
        return Shrunk(None, str(reason))


def kept_copies(size: tuple[int, int], workspace: Workspace) -> Parts:
    """Copies of this size that were made, with the columns sha256 (of the photo), copy (of the copy), jpeg, outline."""
    return Parts(workspace.cache(f"copies/{size[0]}-{size[1]}"), "sha256")


def copies_of(
    photos: pl.DataFrame, lake: str, size: tuple[int, int], on: Engine, workspace: Workspace, report: Report
) -> Iterator[Shrunk]:
    """The shrunk copy of each photo (columns path, sha256, n_bytes and mtime_ns as scanned), in order.

    `size` is the shorter side in pixels and the JPEG quality. A copy that was made before is taken where the photo's
    file has the size and time that it had then; the other files are read by `on`.
    """
    kept = kept_copies(size, workspace)
    known = photos.select(pl.col("sha256").is_in(kept.known({"sha256": pl.String})["sha256"].implode())).to_series()
    columns = ("path", "n_bytes", "mtime_ns")
    is_kept = _as_scanned(photos.select(columns), known, lake)
    shrink = functools.partial(shrink_file, shorter_side_px=size[0], jpeg_quality=size[1])
    rows = photos.select("path", "sha256", "n_bytes").rows()
    files = [(Spot(places.join(lake, path), n_bytes), sha256) for path, sha256, n_bytes in rows]
    missing = [file for file, there in zip(files, is_kept, strict=True) if not there]
    ahead = spots([file.place for file, _ in missing], [file.n_bytes for file, _ in missing])
    fresh = engine.map_photos(
        shrink,
        [(spot, sha256) for spot, (_, sha256) in zip(ahead, missing, strict=True)],
        on_crash=lambda _: Shrunk(None, "unreadable: its decoder crashed"),
        on=on.at(lake, on.workers),
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


def _as_scanned(photos: pl.DataFrame, known: pl.Series, lake: str) -> list[bool]:
    """Whether each known photo (columns path, n_bytes, mtime_ns) lies in the lake with the size and time it had."""
    if not known.any():
        return [False] * photos.height
    if places.is_remote(lake):  # one listing, and not a request a photo
        there = {file.path: (file.n_bytes, file.mtime_ns) for file in listing.files(lake)}
        times_of: Callable[[str], tuple[int, int] | None] = there.get
    else:
        times_of = functools.partial(_times, lake)
    return [
        is_known and times_of(path) == (n_bytes, mtime_ns)
        for is_known, (path, n_bytes, mtime_ns) in zip(known, photos.iter_rows(), strict=True)
    ]


def _times(lake: str, path: str) -> tuple[int, int] | None:
    try:
        status = Path(lake, path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
