"""Shrunk copies of photos: upright, small, JPEG, without metadata. What training and the review look at."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterator
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
from fledged.reading import File, Spot, read, spots
from fledged.regular import NotRegular
from fledged.rows import Rows
from fledged.workspace import Workspace

_BLOCK = 1024  # copies in memory at once
_LISTED = 16_384  # files of a listing that are objects before they become columns


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
    known = kept.known({"sha256": pl.String})
    rows = photos.select("path", "sha256", "n_bytes", "mtime_ns").join(
        known, on="sha256", how="left", maintain_order="left"
    )
    rows = rows.select("path", "sha256", "n_bytes", "part", is_kept=_as_scanned(rows, lake))
    missing = rows.filter(pl.col("is_kept").not_()).select("path", "sha256", "n_bytes")
    shrink = functools.partial(shrink_file, shorter_side_px=size[0], jpeg_quality=size[1])
    fresh = engine.map_photos(
        shrink,
        files_of(missing, lake),
        on_crash=lambda _: Shrunk(None, "unreadable: its decoder crashed"),
        on=on.at(lake, on.workers),
        step="Shrinking photos",
        report=report,
    )
    for start in range(0, rows.height, _BLOCK):
        block = rows.slice(start, _BLOCK)
        there = block.filter("is_kept")
        jpegs: dict[str, bytes] = {}
        for found in kept.rows_of(there["sha256"].unique(), "sha256", "jpeg", among=set(there["part"])):
            jpegs.update(found.select("sha256", "jpeg").iter_rows())
        for path, sha256, n_bytes, _, is_kept in block.iter_rows():
            if not is_kept:
                yield next(fresh)
            elif sha256 in jpegs:
                yield Shrunk(jpegs[sha256], None)
            else:  # a part of the cache that could not be read has been left out
                yield shrink((Spot(places.join(lake, path), n_bytes), sha256))


def files_of(photos: pl.DataFrame, lake: str) -> Rows[tuple[File, str]]:
    """Each photo's file and sha256 (columns path, sha256, n_bytes), made when they are asked for."""
    paths, hashes, sizes = photos["path"], photos["sha256"], photos["n_bytes"]

    def part(start: int, stop: int) -> list[tuple[File, str]]:
        block = slice(start, stop)
        there = spots([places.join(lake, path) for path in paths[block]], sizes[block].to_list())
        return list(zip(there, hashes[block].to_list(), strict=True))

    return Rows(photos.height, part)


def _as_scanned(rows: pl.DataFrame, lake: str) -> pl.Series:
    """Whether each photo whose copy is known (columns path, n_bytes, mtime_ns, part) still has its size and time."""
    known = rows["part"].is_not_null()
    if not known.any():
        return known
    keys = ["path", "n_bytes", "mtime_ns"]
    if places.is_remote(lake):  # one listing, and not a request a photo
        there = _listed(lake).with_columns(there=True)
        found = rows.select(keys).join(there, on=keys, how="left", maintain_order="left")["there"]
        return known & found.fill_null(False)
    as_before = (
        is_known and _times(lake, path) == (n_bytes, mtime_ns)
        for is_known, (path, n_bytes, mtime_ns) in zip(known, rows.select(keys).iter_rows(), strict=True)
    )
    return pl.Series(as_before, dtype=pl.Boolean)


def _listed(lake: str) -> pl.DataFrame:
    """path, n_bytes and mtime_ns of what lies behind an address."""
    files, schema = listing.files(lake), {"path": pl.String, "n_bytes": pl.Int64, "mtime_ns": pl.Int64}
    parts = [pl.DataFrame(schema=schema)]
    while part := [(file.path, file.n_bytes, file.mtime_ns) for file in itertools.islice(files, _LISTED)]:
        parts.append(pl.DataFrame(part, schema=schema, orient="row"))
    return pl.concat(parts)


def _times(lake: str, path: str) -> tuple[int, int] | None:
    try:
        status = Path(lake, path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
