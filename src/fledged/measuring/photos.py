"""The photos that a model is judged on: the test split of its dataset, or any labelled folder."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from fledged import places, reading
from fledged.errors import LakeError, ProductError, naming
from fledged.images import BadPhoto
from fledged.products import Dataset
from fledged.reading import File, Spot, spots
from fledged.regular import NotRegular
from fledged.scanning.walk import walk

# Photos that lie beside the class folders are counted under this name.
_TOP = "."


@dataclass(frozen=True, slots=True)
class Photo:
    """A file with the class that people gave it."""

    path: str  # relative to the lake or folder, with /
    file: File
    class_index: int  # -1 where nobody has said
    sha256: str  # of the content that was labelled; "" if it could not be read
    group: str = ""  # photos of one group are alike, and right or wrong together; "" is alone


def of_test_split(dataset: Dataset, classes: Sequence[str]) -> list[Photo]:
    """The photos that no choice has seen, in the lake itself, in the order of their paths.

    Raises ProductError if the model lacks one of the dataset's classes.
    """
    index = {label: i for i, label in enumerate(classes)}
    if strangers := [label for label in dataset.classes if label not in index]:
        raise ProductError(
            f"The model has no class {', '.join(strangers)}, but its dataset {dataset.id} has",
            remedy="Train it again on this dataset: fledged train",
        )
    members = dataset.members().filter(pl.col("split") == "test", pl.col("left_out").is_null()).sort("path")
    files = spots([places.join(dataset.lake, path) for path in members["path"]])
    rows = members.select("path", "label", "sha256", "group").iter_rows()
    return [
        Photo(path, file, index[label], sha256, group)
        for file, (path, label, sha256, group) in zip(files, rows, strict=True)
    ]


def of_folder(folder: str, classes: Sequence[str]) -> tuple[list[Photo], dict[str, int]]:
    """The photos in sub-folders named after a class, and how many lie in folders that are not.

    A name is the same name however its accents are composed (Unicode NFC); its position never matters.
    Raises LakeError if no photo lies in a folder named after a class.
    """
    listing = walk(folder)
    index = {_composed(label): i for i, label in enumerate(classes)}
    found = listing.found
    known = [photo for photo in found if _composed(photo.label) in index]
    strangers = Counter(photo.label for photo in found if _composed(photo.label) not in index)
    strangers[_TOP] += sum(entry.reason == "not in a class folder" for entry in listing.skipped)
    if not known:
        there = ", ".join(f"{name}/" for name in sorted(strangers) if name != _TOP and strangers[name])
        raise LakeError(
            "There is no photo in a folder named after a class" + (f"; there are {there}" if there else ""),
            where=folder,
            remedy=f"Put the photos into folders with the model's class names: {', '.join(classes)}.",
        )
    files = spots([places.join(folder, p.path) for p in known], [p.n_bytes for p in known])
    hashes = [_sha256(file) for file in files]
    photos = [
        Photo(p.path, file, index[_composed(p.label)], sha256, sha256)
        for p, file, sha256 in zip(known, files, hashes, strict=True)
    ]
    return photos, {name: n for name, n in sorted(strangers.items()) if n}


def unlabelled(files: Sequence[str], root: str | None = None) -> list[Photo]:
    """Photos without a class, by their paths, those under `root` relative to it."""
    return [
        Photo(place.removeprefix(f"{root}/") if root else place, file, -1, _sha256(file))
        for place, file in zip(files, spots(files), strict=True)
    ]


def content_hash(photos: Iterable[Photo]) -> str:
    """Of all paths and contents: equal for equal folders."""
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(f"{len(photo.path.encode())} {photo.path} {photo.sha256}\n".encode())
    return digest.hexdigest()


def read(photo: Photo) -> bytes:
    """The bytes that were labelled. Raises BadPhoto if the file vanished, changed or could not be read then either.

    Raises OSError where the disk does not give what it gave before: an answer without the photo would be kept for good.
    """
    try:
        with naming(photo.file.place if isinstance(photo.file, Spot) else photo.file):
            data = reading.read(photo.file)
    except FileNotFoundError as error:
        raise BadPhoto("vanished since the scan") from error
    except places.Changed as error:
        raise BadPhoto("changed since the scan") from error
    except OSError as error:
        if photo.sha256 and not isinstance(error, NotRegular | IsADirectoryError | NotADirectoryError):
            raise
        raise BadPhoto(f"cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise BadPhoto("changed since the scan")
    return data


def n_seen(photos: Sequence[Photo], dataset: Dataset) -> int:
    """How many of the photos the model was trained or chosen on: the same bytes are in train or val."""
    seen = set(dataset.members().filter(pl.col("split").is_in(["train", "val"]))["sha256"])
    return sum(photo.sha256 in seen for photo in photos)


def _composed(label: str) -> str:
    return unicodedata.normalize("NFC", label)


def _sha256(file: File) -> str:
    try:
        return hashlib.sha256(reading.read(file)).hexdigest()
    except OSError:
        return ""
