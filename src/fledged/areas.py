"""What a working folder needs of a service that keeps objects: reads, and writes under conditions.

So two machines never overwrite each other unaware. Each object carries the sha256 of its content as metadata, so that a
HEAD tells whether it is what it should be.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Conflict(Exception):
    """Somebody else has written there meanwhile."""


@dataclass(frozen=True, slots=True)
class Held:
    """An object as it was read."""

    data: bytes
    tag: str  # of this version of it: an ETag, or a generation


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as a HEAD tells it."""

    tag: str
    sha256: str  # "" where it was not written by this program


class Area(Protocol):
    """What a working folder needs of a service; names are relative to its address."""

    unlikely: str  # a tag that no object has

    @property
    def service(self) -> str:
        """Who answers."""

    def get(self, name: str) -> Held | None:
        """An object, small enough for memory; None if there is none."""

    def download(self, name: str, path: Path) -> str | None:
        """Write an object into a file, which appears when it is whole, and return its sha256; None if there is none."""

    def seen(self, name: str) -> Seen | None:
        """What a HEAD says; None if there is none."""

    def put(self, name: str, content: bytes | Path, sha256: str, before: str | None) -> str:
        """Write an object over the one with the tag `before`, or (None) where none is; its new tag.

        Other bytes than those of the sha256 are refused. Raises Conflict if something else lies there.
        """

    def names(self, folder: str) -> list[str]:
        """What lies right under a folder, files and folders (with a slash), sorted; hidden ones are left out."""


def keeps_conditions(area: Area) -> bool:
    """Whether nothing is written where the condition does not hold, as three writes of `.conditions` tell.

    Some services ignore the conditions; of Google's interface for S3's clients that is known: it keeps them for reading
    (https://cloud.google.com/storage/docs/request-preconditions).
    """
    content = b"It was tried here whether writes are refused whose condition does not hold.\n"
    sha256 = hashlib.sha256(content).hexdigest()

    def is_written(before: str | None) -> bool:
        try:
            area.put(".conditions", content, sha256, before)
        except Conflict:
            return False
        return True

    is_written(None)  # from now on it is there
    return not (is_written(None) or is_written(area.unlikely))
