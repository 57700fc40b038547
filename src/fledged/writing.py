"""Files that are there whole or not at all: written beside their place, flushed to the disk and renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fledged import leftovers, regular
from fledged.errors import WorkspaceError, naming

if TYPE_CHECKING:
    import polars as pl
    from _typeshed import ReadableBuffer


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, with the old content, or not at all."""
    write(path, lambda file: file.write(data))


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically: a temporary file in the same folder, fsync, rename, fsync of the folder.

    Raises WorkspaceError if the disk is full or cannot be written; the earlier file is then as it was.
    """
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.part")
    with disk_errors(path):
        make_folder(path.parent)
        try:
            with leftovers.opened(temporary) as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_chunks(path: Path, chunks: Iterable[ReadableBuffer]) -> str:
    """Write a file atomically, of parts that come one by one; its sha256."""
    digest = hashlib.sha256()

    def fill(file: BinaryIO) -> None:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)

    write(path, fill)
    return digest.hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there, and those above it, so that a power cut does not take it with all in it.

    A name is on the disk for sure once the folder that it is in was synced; whatever is in it, has a sync of its own.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet, atomically like any file."""
    # Through memory: Polars' own errors do not say that a disk is full in a way that could be told from others.
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write(path, lambda file: file.write(buffer.getbuffer()))


def bytes_of_file(path: Path) -> bytes:
    """The whole content; an OSError names the file, which that of `Path.read_bytes` does not where reading fails."""
    with naming(path):
        return regular.read(path)


def unreadable(path: Path, error: Exception) -> WorkspaceError:
    """What is said of a file that the disk does not let be read."""
    remedy = "Mend what is in the way, and run the same command again."
    reason = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
    return WorkspaceError(f"Cannot read: {reason}", where=path, remedy=remedy)


def sha256_of_file(path: Path) -> str:
    """Of the content, in hex."""
    with naming(path), regular.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into a WorkspaceError that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = {
            errno.ENOSPC: "Free some space, or take another disk with --work DIR, and run the same command again.",
            errno.EDQUOT: "Free some of your quota, or take another disk with --work DIR.",
            errno.EROFS: "The disk is read-only: take another with --work DIR.",
            errno.EACCES: "You may not write there: take another folder with --work DIR.",
        }.get(error.errno or 0, "Run the same command again, or take another folder with --work DIR.")
        raise WorkspaceError(f"Cannot write: {error.strerror or error}", where=path, remedy=remedy) from error
