"""Which files of a lake are photos of which class; nothing is opened but files with an unknown extension."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fledged import images, listing, places, provenance
from fledged.errors import LakeError
from fledged.products import SPLIT_FOLDERS, Split

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
_NETPBM = (".ppm", ".pgm", ".pbm", ".pnm")
_HEIF = (".heic", ".heif", ".hif", ".avif")
# No photos, but pictures that somebody took for some: each is a row with that reason, which the review shows.
_VECTOR = (".svg", ".eps")
PHOTO_EXTENSIONS = {*_JPEG, *_NETPBM, *_HEIF, *_VECTOR, ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
_Times = tuple[int, int]  # bytes; nanoseconds
_PART = 16_384  # rows that are objects before they become columns
FOUND_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "path": pl.String,
    "label": pl.String,
    "lake_split": pl.String,
    "n_bytes": pl.Int64,
    "mtime_ns": pl.Int64,
}
_DEEPEST = 200  # folders; far more than people make, and Python's own limit is not far above
# First bytes of the formats in `images.FORMATS`, to recognise a photo with a strange extension.
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"P5", b"P6", b"P4", b"II*\0", b"MM\0*")
_BRANDS = images.HEIF_BRANDS | {b"avif", b"avis"}


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is a photo, or looks like one."""

    path: str  # relative to the lake, with /
    label: str
    lake_split: Split | None
    n_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is no photo."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a lake, in the order of the paths."""

    photos: pl.DataFrame  # the fields of Found as columns: a tenth of the memory of as many objects
    skipped: list[Skipped]
    labels: list[str]  # also those of folders without photos

    @property
    def found(self) -> list[Found]:
        """The photos one by one, for those who want few of them."""
        return [Found(*row) for row in self.photos.iter_rows()]


def walk(lake: str | Path) -> Listing:
    """All files of the lake, a resolved place.

    The folder right under the lake is the label, whatever lies deeper; where all of those folders are called train,
    val (or valid) and test, the label is one level below. Raises LakeError where it cannot be listed.
    """
    lake = str(lake)
    is_remote = places.is_remote(lake)
    if not is_remote and not Path(lake).is_dir():
        raise LakeError("There is no such folder", where=lake, remedy="Give the folder that holds one folder a class.")
    folders_of = listing.folders if is_remote else _folders
    tops = folders_of(lake)
    is_split = bool(tops) and all(name.lower() in SPLIT_FOLDERS for name in tops)
    skipped: list[Skipped] = []
    judged = _judged(lake, _remote_entries(lake) if is_remote else _entries(Path(lake), "", set()), is_split, skipped)
    parts = [pl.DataFrame(schema=FOUND_TYPES)]
    while part := list(itertools.islice(judged, _PART)):
        parts.append(pl.DataFrame(part, schema=FOUND_TYPES, orient="row"))
    photos = pl.concat(parts).sort("path")
    folders = [child for top in tops for child in folders_of(places.join(lake, top))] if is_split else tops
    return Listing(
        photos,
        sorted(skipped, key=lambda s: s.path),
        sorted({*photos["label"].unique()} | {name for name in folders if _is_text(name)}),
    )


def sampled(photos: pl.DataFrame, n: int) -> pl.DataFrame:
    """`n` of these photos, evenly of each label; all of them where `n` is 0. In the order of the paths.

    The names decide which, so that a sample is the same each time, and part of every larger one.
    """
    if n == 0 or n >= photos.height:
        return photos
    drawn = pl.Series([_draw(path) for path in photos["path"]], dtype=pl.UInt64)
    turns = photos.select("path", "label", drawn=drawn).with_columns(turn=pl.col("drawn").rank("ordinal").over("label"))
    chosen = turns.sort("turn", "drawn", "path").head(n)
    return photos.join(chosen, on="path", how="semi", maintain_order="left")


def _draw(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest())


def _judged(
    lake: str, entries: Iterable[tuple[str, _Times | str]], is_split: bool, skipped: list[Skipped]
) -> Iterator[tuple[object, ...]]:
    """The rows of photos; what is none goes to `skipped`."""
    for path, entry in entries:
        if path in (provenance.FILE_NAME, provenance.STATE_FOLDER):
            continue  # about photos, not one
        if isinstance(entry, str):
            skipped.append(Skipped(path, entry))
        elif isinstance(result := _judge(lake, path, entry, is_split), Skipped):
            skipped.append(result)
        else:
            yield result


def _folders(folder: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []  # the walk itself says why it cannot be listed


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remote_entries(lake: str) -> Iterator[tuple[str, _Times | str]]:
    for file in listing.files(lake):
        yield file.path, file.reason or (file.n_bytes, file.mtime_ns)


def _entries(folder: Path, prefix: str, above: set[tuple[int, int]]) -> Iterator[tuple[str, _Times | str]]:
    """(relative path, size and time or the reason to skip it), depth first; no folder is entered twice."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield prefix.rstrip("/"), f"folder cannot be listed: {error.strerror}"
        return
    if len(above) > _DEEPEST:
        yield prefix.rstrip("/"), f"more than {_DEEPEST} folders deep"
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        yield prefix.rstrip("/"), "a link back to a folder above"
        return
    entries.reverse()
    while entries:  # let go of each once it is judged: with its times it takes a kilobyte
        entry = entries.pop()
        path = prefix + entry.name
        if not _is_text(path):
            yield path.encode("utf-8", "backslashreplace").decode(), "file name is not UTF-8"
            continue
        if entry.name.startswith("."):
            yield path, "hidden"
            continue
        try:
            if entry.is_dir():
                yield from _entries(folder / entry.name, f"{path}/", above | {identity})
            else:
                seen = entry.stat()
                is_regular = stat.S_ISREG(seen.st_mode)
                yield path, (seen.st_size, seen.st_mtime_ns) if is_regular else "not a regular file"
        except OSError as error:
            yield path, f"cannot be read: {error.strerror}"


def _judge(lake: str, path: str, times: _Times, is_split: bool) -> tuple[object, ...] | Skipped:
    """The row of a photo, in the order of the fields of Found, or why there is none."""
    *folders, name = path.split("/")  # pathlib would take as long as the rest of the walk
    suffix = os.path.splitext(name)[1].lower().rstrip(".")  # noqa: PTH122
    if suffix not in PHOTO_EXTENSIONS and not _has_photo_magic(places.join(lake, path)):
        return Skipped(path, f"not a photo ({suffix or 'no extension'})")
    lake_split = SPLIT_FOLDERS[folders[0].lower()] if is_split and folders else None
    labels = folders[1:] if is_split else folders
    if not labels:
        return Skipped(path, "not in a class folder")
    return path, labels[0], lake_split, *times


def _has_photo_magic(place: str) -> bool:
    try:
        head = places.head(place, 12)
    except OSError:
        return False
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    # A phone's video has a container like that of its photos, of another brand.
    return head.startswith(_MAGIC) or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)
