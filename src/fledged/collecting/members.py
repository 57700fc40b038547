"""What zip and tar archives have in common: what they may cost, and how a member becomes an offer."""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fledged.collecting.layout import Place, is_clutter
from fledged.collecting.offers import HIDDEN, Photo, Refusal, Refused, clean_label, printable, refused

MAX_MEMBERS = 5_000_000
# Photos hardly shrink; drawn ones and bitmaps may. Bombs shrink over a thousand times.
MAX_RATIO = 200
RATIO_FROM_BYTES = 100 * 2**20

# What the parsers of hostile archives raise.
UNREADABLE = (
    *(OSError, EOFError, ValueError, OverflowError, struct.error),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)
A_LINK = "a link or device in an archive"
DAMAGED = "damaged in the archive"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may unpack to."""

    max_file_bytes: int
    max_total_bytes: int

    def stop(self, n_members: int, n_bytes: int, archive_bytes: int) -> Refusal | None:
        """The reason to read no further, if there is one."""
        if n_members > MAX_MEMBERS:
            return Refusal("the archive holds too much", f"over {MAX_MEMBERS:,} files")
        if n_bytes > self.max_total_bytes:
            limit = f"over {self.max_total_bytes / 2**30:g} GB"
            return Refusal("the archive holds too much", f"{limit}; raise collect.max_unpacked_gigabytes")
        if n_bytes > max(RATIO_FROM_BYTES, MAX_RATIO * archive_bytes):
            return Refusal("the archive holds too much", f"over {MAX_RATIO} times its own size, as bombs do")
        return None

    def too_large(self) -> Refusal:
        """The reason to leave out one file."""
        return Refusal("too large", f"over {self.max_file_bytes / 2**20:g} MB")


def unreadable(error: Exception, damage: str = DAMAGED) -> Refusal:
    """Why a parser gave up: the archive is damaged, or the disk did not let it be read, which may pass."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: a forged place in the file
        return Refusal("cannot be read", error.strerror or str(error), again=True)
    return Refusal(damage, printable(str(error)))


def offer_of(name: str, place: Place, archive: Path, read: Callable[[], bytes]) -> Photo | Refused:
    """A member as a photo of its class; its name is told, and never used as a path."""
    split, label = place
    shown = printable(name)
    if is_clutter(name):
        return Refused(f"{archive.name}: {shown}", None, HIDDEN)
    try:
        return Photo(shown, clean_label(label), read, split=split, origin=archive.name)
    except Refusal as why:
        return refused(f"{archive.name}: {shown}", None, why)
