"""Photos out of a tar, plain or compressed, read as a stream."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

from fledged.collecting.layout import placing
from fledged.collecting.members import A_LINK, DAMAGED, UNREADABLE, Limits, offer_of, unreadable
from fledged.collecting.offers import Offer, Offers, Refusal, printable, refused

# Headers of a member, with the longest names that anybody needs.
_MAX_HEADER_BYTES = 2**20
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"


class _Overrun(Exception):
    """More was read than a sound archive needs."""


class _Metered:
    """A decompressed stream that gives no more bytes than were allowed: headers can be bombs, too."""

    def __init__(self, path: Path) -> None:
        self._file = _decompressed(path)
        self._left = _MAX_HEADER_BYTES

    def allow(self, n_bytes: int) -> None:
        """So many from now on."""
        self._left = n_bytes

    def read(self, n_bytes: int) -> bytes:
        """The next bytes. Raises _Overrun."""
        self._left -= n_bytes
        if self._left < 0:
            raise _Overrun("its headers are too long")
        return self._file.read(n_bytes)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def is_tar(path: Path) -> bool:
    """Whether the content is that of a tar with at least one member."""
    try:
        return next(_members(path, None), None) is not None
    except (_Overrun, *UNREADABLE):
        return False


def open_tar(path: Path, label: str, limits: Limits) -> Offers:
    """The photos of a tar; all of one class if there is a `label`."""
    # Twice through the archive: which folders are classes is known only when all names are.
    names = [member.name for member, _, why in _members(path, limits) if why is None and not member.isdir()]
    place = placing(names, label)

    def offers() -> Iterator[Offer]:
        for member, archive, why in _members(path, limits):
            if why is not None:
                yield refused(f"{path.name}: {printable(member.name)} and what follows", None, why)
            elif not member.isdir():
                yield offer_of(member.name, place(member.name), path, partial(_read, archive, member, limits))

    return Offers(len(names), offers())


def _decompressed(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(_GZIP):
        return cast(IO[bytes], gzip.GzipFile(path))
    if head.startswith(_BZIP2):
        return cast(IO[bytes], bz2.BZ2File(path))
    return cast(IO[bytes], lzma.LZMAFile(path)) if head.startswith(_XZ) else path.open("rb")


def _members(path: Path, limits: Limits | None) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile, Refusal | None]]:
    """The members in their order; the last may carry the reason to read no further."""
    archive_bytes = path.stat().st_size
    n_members = n_bytes = 0
    stream = _Metered(path)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
            member = tarfile.TarInfo("the beginning")
            while True:
                try:
                    following = archive.next()
                except (_Overrun, *UNREADABLE) as error:
                    yield member, archive, unreadable(error, "the archive is damaged")
                    return
                if following is None:
                    return
                member = following
                n_members, n_bytes = n_members + 1, n_bytes + max(member.size, 0)
                if limits and (why := limits.stop(n_members, n_bytes, archive_bytes)):
                    yield member, archive, why
                    return
                stream.allow(member.size + 2 * _MAX_HEADER_BYTES)  # its content and the next header
                yield member, archive, None
                # The stream remembers all members; a million of them would fill the memory.
                archive.members.clear()  # type: ignore[attr-defined]
    finally:
        stream.close()


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, limits: Limits) -> bytes:
    if not member.isreg() or member.issparse():
        raise Refusal(A_LINK)
    if member.size > limits.max_file_bytes:
        raise limits.too_large()
    try:
        file = archive.extractfile(member)
        data = file.read() if file else b""
    except (_Overrun, *UNREADABLE) as error:
        raise unreadable(error) from error
    if len(data) != member.size:
        raise Refusal(DAMAGED, "it ends before the photo does")
    return data
