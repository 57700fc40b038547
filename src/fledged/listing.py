"""What lies behind an address: every file with its size and time, asked for in parallel, folder by folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fledged.errors import LakeError
from fledged.places import filesystem, plain_errors

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Listed:
    """A file, or what cannot be one and why."""

    path: str  # relative to what was listed, with /
    n_bytes: int
    mtime_ns: int
    reason: str | None = None  # why it is left out


def folders(place: str) -> list[str]:
    """The names of the folders right under an address, sorted, hidden ones left out. Raises LakeError."""
    found = _listed(place, recursive=False)
    return sorted(name for name, n_bytes, _ in found if n_bytes is None and not name.startswith("."))


def files(place: str) -> Iterator[Listed]:
    """Every file under an address. Of a hidden folder there is one row. Raises LakeError where it cannot be listed.

    The folders right under it are asked for at the same time, each in pages of a thousand; no more than those pages
    and the names of eight folders are in memory.
    """
    top = _listed(place, recursive=False)
    hidden = sorted({name for name, _, _ in top if name.startswith(".")})
    yield from (Listed(name, 0, 0, "hidden") for name in hidden)
    under = {name for name, n_bytes, _ in top if n_bytes is None and name not in hidden}
    yield from (Listed(name, n, at) for name, n, at in top if n is not None and not name.startswith("."))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="list") as pool:
        for found in pool.map(lambda name: list(_found(place, name)), sorted(under)):
            yield from found


def is_file(place: str) -> bool:
    """Whether a file lies at this very address. Raises LakeError where it does not answer."""
    source, path = filesystem(place)
    from pyarrow.fs import FileType

    with contextlib.suppress(PermissionError), plain_errors(place):
        return bool(source.get_file_info(path).type == FileType.File)
    return False  # who may list only, may not ask about a single file


def _found(place: str, folder: str) -> Iterator[Listed]:
    hidden: set[str] = set()
    for name, n_bytes, mtime_ns in _listed(f"{place}/{folder}", recursive=True):
        path = f"{folder}/{name}"
        parts = path.split("/")
        first = next((at for at, part in enumerate(parts) if part.startswith(".") and part not in (".", "..")), None)
        if first is not None:
            if (above := "/".join(parts[: first + 1])) not in hidden:
                hidden.add(above)
                yield Listed(above, 0, 0, "hidden")
        elif n_bytes is None:
            continue
        elif any(part in ("", ".", "..") for part in parts):
            yield Listed(path, n_bytes, 0, "its key is no path (an empty part, . or ..)")
        else:
            yield Listed(path, n_bytes, mtime_ns)


def _listed(place: str, *, recursive: bool) -> list[tuple[str, int | None, int]]:
    """Path under the place, size (None for a folder), time. A folder that has just been there may be gone."""
    source, path = filesystem(place)
    from pyarrow.fs import FileSelector, FileType

    base = path.strip("/")
    try:
        with plain_errors(place):
            infos: list[Any] = source.get_file_info(FileSelector(path, allow_not_found=recursive, recursive=recursive))
    except FileNotFoundError as error:
        raise LakeError(
            "There is nothing at this address", where=place, remedy="Give the place that holds one folder a class."
        ) from error
    except PermissionError as error:
        raise LakeError(
            "You may not list this", where=place, remedy="The credentials need s3:ListBucket and s3:GetObject."
        ) from error
    except OSError as error:
        raise LakeError(f"Cannot be listed: {error.strerror}", where=place, remedy="Check the address.") from error
    found = []
    for info in infos:
        name = info.path.lstrip("/")
        name = name.removeprefix(f"{base}/") if base else name
        is_file = info.type == FileType.File
        found.append((name, info.size if is_file else None, info.mtime_ns or 0))
    return [row for row in found if row[0] and row[0] != base]
