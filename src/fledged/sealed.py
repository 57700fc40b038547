"""What is cached and tells when a bit of it has flipped: Parquet with the sha256 of all the rest inside, or beside it.

What is cached goes into products, whose own hashes would then swear to it. The seal of a table lies between the columns
and the footer, where no reader looks: readers go by the footer, which ends the file and says where each column is.
"""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fledged.errors import naming
from fledged.writing import bytes_of_file, write, write_bytes

if TYPE_CHECKING:
    import polars as pl

# https://parquet.apache.org/docs/file-format/: … columns, footer, its length in 4 bytes, PAR1
_END = struct.Struct("<I4s")
_MAGIC = b"PAR1"
_MARK = b"sha256 of the rest:"
_SEAL_BYTES = len(_MARK) + 32
_CHUNK = 2**20
_BESIDE = ".sha256"


def write_sealed(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet with a seal, atomically like any file."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    data = buffer.getbuffer()
    at = len(data) - _END.size - _END.unpack(data[-_END.size :])[0]

    def fill(file: BinaryIO) -> None:
        for part in (data[:at], _MARK, hashlib.sha256(data).digest(), data[at:]):
            file.write(part)

    write(path, fill)


def is_intact(path: Path) -> bool:
    """Whether the file is what was written; False for one without a seal. Raises OSError where it cannot be read."""
    with naming(path), path.open("rb") as file:
        n_bytes = file.seek(0, io.SEEK_END)
        if n_bytes < _END.size + _SEAL_BYTES:
            return False
        file.seek(-_END.size, io.SEEK_END)
        footer_bytes, magic = _END.unpack(file.read(_END.size))
        at = n_bytes - _END.size - footer_bytes - _SEAL_BYTES
        if magic != _MAGIC or at < 0:
            return False
        file.seek(at)
        seal = file.read(_SEAL_BYTES)
        if not seal.startswith(_MARK):
            return False
        digest = hashlib.sha256()
        file.seek(0)
        while chunk := file.read(min(_CHUNK, at - file.tell())):
            digest.update(chunk)
        file.seek(at + _SEAL_BYTES)
        digest.update(file.read())
        return digest.digest() == seal[len(_MARK) :]


def write_with_sha256(path: Path, data: bytes) -> None:
    """Write a file of any kind, then another beside it that seals it."""
    write_bytes(path, data)
    write_bytes(path.with_suffix(_BESIDE), hashlib.sha256(data).hexdigest().encode())


def bytes_if_intact(path: Path) -> bytes | None:
    """What was written, or None where it is not there, or not that. Raises OSError where it cannot be read."""
    try:
        data, seal = bytes_of_file(path), bytes_of_file(path.with_suffix(_BESIDE))
    except FileNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest().encode() == seal else None
