"""Photos out of a zip."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fledged.collecting.layout import placing
from fledged.collecting.members import A_LINK, UNREADABLE, Limits, offer_of, unreadable
from fledged.collecting.offers import Offer, Offers, Refusal, printable, refused

_UTF8_FLAG = 0x800


def open_zip(path: Path, label: str, limits: Limits) -> Offers:
    """The photos of a zip; all of one class if there is a `label`."""
    archive = zipfile.ZipFile(path)
    members = [member for member in archive.infolist() if not member.is_dir()]
    place = placing([_name(member) for member in members], label)

    def offers() -> Iterator[Offer]:
        n_bytes, archive_bytes = 0, path.stat().st_size
        with archive:
            for n_members, member in enumerate(members, start=1):
                name = _name(member)
                n_bytes += member.file_size
                if why := limits.stop(n_members, n_bytes, archive_bytes):
                    yield refused(f"{path.name}: {printable(name)} and what follows", None, why)
                    return
                yield offer_of(name, place(name), path, partial(_read, archive, member, limits))

    return Offers(len(members), offers())


def _name(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & _UTF8_FLAG:
        return member.filename
    try:  # some tools write UTF-8 without saying so
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> bytes:
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise Refusal(A_LINK)
    if member.file_size > limits.max_file_bytes:
        raise limits.too_large()
    try:
        with archive.open(member) as file:
            return file.read(limits.max_file_bytes + 1)
    except NotImplementedError as error:
        raise Refusal("compressed in a way that is not known", str(error)) from error
    except RuntimeError as error:  # zipfile's word for a missing password
        raise Refusal("encrypted", str(error)) from error
    except UNREADABLE as error:
        raise unreadable(error) from error
