"""The photos, on a disk or behind an address, that are to be answered."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from fledged import images, listing, places, reading
from fledged.errors import LakeError, RequestError
from fledged.places import Changed, TooLarge


def find_photos(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The files themselves, and all that lies in the folders, sorted; hidden files are left out.

    Raises RequestError for a path that does not exist, and LakeError for an address that cannot be listed.
    """
    found: list[str] = []
    for given in paths:
        if places.looks_remote(given):
            found += _behind(places.resolved(given))
            continue
        path = Path(given)
        if path.is_dir():
            found += _under(str(path / "_").removesuffix("_"))
        elif path.exists():
            found.append(str(path))
        else:
            raise RequestError("There is no such photo or folder", status=404, where=path, remedy="Check the path.")
    return found


def _under(folder: str) -> Iterator[str]:
    """The files in and below a folder (with its separator at the end), in the order of their names, level by level.

    Links to folders are not followed, and a folder that may not be read is empty.
    """
    try:
        entries = sorted(os.scandir(folder or "."), key=lambda entry: entry.name, reverse=True)
    except PermissionError:
        return
    while entries:
        entry = entries.pop()
        if entry.name.startswith("."):
            continue
        with contextlib.suppress(OSError):  # gone, or a link that leads round in a circle
            if entry.is_dir(follow_symlinks=False):
                yield from _under(f"{folder}{entry.name}{os.sep}")
            elif entry.is_file():
                yield f"{folder}{entry.name}"


def _behind(place: str) -> list[str]:
    if not places.is_remote(place):  # file:// is one of this machine
        return find_photos([place])
    if listing.is_file(place):
        return [place]
    return sorted(places.join(place, file.path) for file in listing.files(place) if file.reason is None)


def read(file: reading.File) -> bytes:
    """The bytes of a photo. Raises RequestError."""
    spot = file if isinstance(file, reading.Spot) else reading.Spot(os.fspath(file))
    where = spot.place
    try:
        if not places.is_remote(where) and not Path(where).is_file():
            what = "This is not a file" if Path(where).exists() else "There is no such photo"
            raise RequestError(what, status=404, where=where, remedy="Check the path.")
        return reading.read(spot, images.MAX_BYTES)
    except TooLarge as error:
        remedy = f"Take one of at most {images.MAX_BYTES // 2**20} MB."
        raise RequestError("This photo is too large", status=413, where=where, remedy=remedy) from error
    except Changed as error:
        raise RequestError("This photo changed meanwhile", status=409, where=where, remedy="Ask again.") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RequestError(f"Cannot read: {reason}", status=404, where=where, remedy="Check the path.") from error
    except LakeError as error:
        raise RequestError(f"Cannot read: {error.what}", status=502, where=where, remedy=error.remedy) from error
