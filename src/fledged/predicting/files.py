"""The photos on a disk that are to be answered."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from fledged import images
from fledged.errors import RequestError


def find_photos(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files themselves, and all that lies in the folders, sorted; hidden files are left out.

    Raises RequestError for a path that does not exist.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = (entry for entry in path.rglob("*") if entry.is_file())
            found += sorted(
                file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)
            )
        elif path.exists():
            found.append(path)
        else:
            raise RequestError("There is no such photo or folder", status=404, where=path, remedy="Check the path.")
    return found


def read(path: Path) -> bytes:
    """The bytes of a photo. Raises RequestError."""
    try:
        if not path.is_file():
            what = "This is not a file" if path.exists() else "There is no such photo"
            raise RequestError(what, status=404, where=path, remedy="Check the path.")
        if path.stat().st_size > images.MAX_BYTES:
            remedy = f"Take one of at most {images.MAX_BYTES // 2**20} MB."
            raise RequestError("This photo is too large", status=413, where=path, remedy=remedy)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RequestError(f"Cannot read: {reason}", status=404, where=path, remedy="Check the path.") from error
