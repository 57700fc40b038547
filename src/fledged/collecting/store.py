"""The lake that is filled: photos named by their content, each with a line that says where it came from.

    <lake>/<class>/<first 16 hex digits of its sha256>.<extension of its real format>
    <lake>/train/<class>/…    where the source, and so the lake, has train, val and test folders
    <lake>/provenance.jsonl   a line a photo and origin
    <lake>/.collect/          outcomes so far, the table of what was refused, the lock

The line is written before the photo, so a photo that is there has its origin, whatever is killed whenever.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fledged import images
from fledged.collecting.attempts import Attempt
from fledged.collecting.journal import Journal
from fledged.collecting.offers import Refusal
from fledged.errors import LakeError, WorkspaceError
from fledged.products import SPLIT_FOLDERS, Split
from fledged.provenance import FILE_NAME, STATE_FOLDER, Provenance, read_provenance
from fledged.writing import make_folder, sha256_of_file, write_bytes

EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif", "HEIF": "heic"}  # of the others: the format's name
_LOCK_TIMEOUT_S = 5.0
_NAME_DIGITS = 16
# What `writing.write` was writing here when it was killed.
_LEFTOVER = re.compile(r"\.[0-9a-f]{16,64}\.\w{2,5}\.[0-9a-f]{8}\.part")
# A small decode is enough to know that a photo is whole.
_CHECK_PX = 64


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a photo lies in the lake."""

    path: str  # relative, with /
    sha256: str
    is_new: bool


def extension(data: bytes, max_bytes: int) -> str:
    """That of the photo's real format, after decoding it. Raises Refusal if it is no whole photo."""
    try:
        header, _ = images.decode(data, _CHECK_PX, max_bytes=max_bytes)
    except images.NotAPhoto as error:
        if re.match(rb"\s*(<!doctype html|<html|<head|<body|<script)", data[:512], re.IGNORECASE):
            raise Refusal("an HTML page, not a photo") from error
        raise Refusal("not a photo", str(error).removeprefix("not a photo ")) from error
    except images.BadPhoto as error:
        raise Refusal("cannot be read as a photo", str(error)) from error
    return EXTENSIONS.get(header.format, header.format.lower())


class Store:
    """A lake while it is filled; one process at a time."""

    def __init__(self, lake: Path, *, keep_splits: bool) -> None:
        self.lake = lake
        self._keep_splits = keep_splits
        self._journal = Journal(lake / FILE_NAME)
        self._told: set[int] = set()  # hashes: a lake may have millions of lines
        self._groups: dict[tuple[str, str | None], str] = {}
        self._by_url: dict[str, Attempt] = {}
        self._is_split: bool | None = None
        for line in read_provenance(lake):
            self._note(line)

    def add(self, data: bytes, suffix: str, label: str, split: Split | None, origin: Provenance) -> Placed:
        """Put a photo into its class, unless it is there; the origin is noted in both cases, once.

        `origin` needs no path and no sha256. Raises Refusal if the lake's folders do not fit, LakeError if the disk
        refuses.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path, is_new = self._free_name(self.home(label, split), sha256, suffix)
        self.note(path, sha256, origin)
        if is_new:
            with _lake_errors():
                write_bytes(self.lake / path, data)
        return Placed(path, sha256, is_new)

    def holds(self, data: bytes, suffix: str, label: str, split: Split | None) -> bool:
        """Whether the photo is in its class already. Raises Refusal if the lake's folders do not fit."""
        return not self._free_name(self.home(label, split), hashlib.sha256(data).hexdigest(), suffix)[1]

    def note(self, path: str, sha256: str, origin: Provenance) -> None:
        """Write where a photo comes from, if that is news."""
        group = origin.group or self._groups.get((path, sha256))
        line = origin.model_copy(update={"path": path, "sha256": sha256, "group": group})
        if _essence(line) not in self._told:
            self._note(line)
            with _lake_errors():
                self._journal.append(line.model_dump_json(exclude_none=True))

    def of_url(self, url: str) -> Attempt | None:
        """What provenance says of an address; None if it gave no photo that is there."""
        fetched = self._by_url.get(url)
        return fetched if fetched and (self.lake / str(fetched.path)).is_file() else None

    def close(self) -> None:
        """Close the journal."""
        self._journal.__exit__(None, None, None)

    def _note(self, line: Provenance) -> None:
        self._told.add(_essence(line))
        if line.source_url and line.sha256:
            self._by_url[line.source_url] = Attempt(
                line.source_url, "fetched", line.sha256, line.path, line.content_type, line.fetched_at
            )
        if line.group:
            self._groups[line.path, line.sha256] = line.group

    def home(self, label: str, split: Split | None) -> str:
        """The folder of a class, with / at its end. Raises Refusal if the lake has another layout."""
        split = split if self._keep_splits else None
        if self._is_split is None:
            tops = [p.name.lower() for p in self.lake.iterdir() if p.is_dir() and not p.name.startswith(".")]
            self._is_split = all(top in SPLIT_FOLDERS for top in tops) if tops else split is not None
        if self._is_split and split is None:
            raise Refusal(
                "the lake has train, val and test folders, and this photo is of none",
                "give it one, or fill a lake of its own with --set collect.keep_splits=false",
                by_setting=True,
            )
        if not self._is_split and split is not None:
            raise Refusal(
                "it is in a train, val or test folder, which the lake has not",
                "take a lake of its own, or --set collect.keep_splits=false",
                by_setting=True,
            )
        if not self._is_split and label.lower() in SPLIT_FOLDERS:
            raise Refusal("not a class name", f"a folder `{label}` would be taken for a split")
        return f"{split}/{label}/" if split else f"{label}/"

    def _free_name(self, folder: str, sha256: str, suffix: str) -> tuple[str, bool]:
        """The file's path, and whether it is still to be written."""
        # The full hash where somebody has changed the file that has the short one: nothing is ever overwritten.
        for digits in (_NAME_DIGITS, len(sha256)):
            path = f"{folder}{sha256[:digits]}.{suffix}"
            if not (self.lake / path).exists():
                return path, True
            if sha256_of_file(self.lake / path) == sha256:
                return path, False
        raise Refusal("a changed file has its name", path)


@contextlib.contextmanager
def filling(lake: Path, *, keep_splits: bool) -> Iterator[Store]:
    """The lake, made if it is not there, locked against other processes, without leftovers of a killed one."""
    if lake.exists() and not lake.is_dir():
        raise LakeError("This is a file, not a folder", where=lake, remedy="Name the folder that photos go into.")
    with _lake_errors():
        try:
            make_folder(lake / STATE_FOLDER)
        except OSError as error:
            raise WorkspaceError(f"Cannot write: {error.strerror}", where=lake) from error
    # The lock dies with its process.
    lock = FileLock(lake / STATE_FOLDER / "lock", timeout=_LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise LakeError(
            "Another `fledged collect` is filling this folder", where=lake, remedy="Wait for it, or stop it."
        ) from error
    try:
        for depth in ("*", "*/*"):
            for leftover in lake.glob(f"{depth}/.*.part"):
                if _LEFTOVER.fullmatch(leftover.name):
                    leftover.unlink()
        store = Store(lake, keep_splits=keep_splits)
        try:
            yield store
        finally:
            store.close()
    finally:
        lock.release()


def _essence(line: Provenance) -> int:
    """A line without what differs each time that the same origin is met."""
    return hash((line.path, line.sha256, line.source_url, line.query, line.engine, line.original_name, line.group))


@contextlib.contextmanager
def _lake_errors() -> Iterator[None]:
    try:
        yield
    except WorkspaceError as error:
        raise LakeError(
            error.what,
            where=error.where,
            remedy="Free some space or mend its permissions, and run the same command again: it goes on from there.",
        ) from error
