"""What lies behind an address: every file with its size and time, asked for in parallel, folder by folder."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fledged.errors import LakeError
from fledged.places import filesystem, plain_errors

_THREADS = 8
_Row = tuple[str, int | None, int]


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

    The folders right under it are asked for at the same time, each in pages of a thousand. What Arrow has told of
    eight folders is in memory, some 225 bytes a file, and is let go of file by file; one folder is whole.
    """
    top = list(_listed(place, recursive=False))
    hidden = sorted({name for name, _, _ in top if name.startswith(".")})
    yield from (Listed(name, 0, 0, "hidden") for name in hidden)
    under = {name for name, n_bytes, _ in top if n_bytes is None and name not in hidden}
    yield from (Listed(name, n, at) for name, n, at in top if n is not None and not name.startswith("."))
    names = iter(sorted(under))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="list") as pool:

        def ask(n: int) -> list[tuple[str, Future[list[Any]]]]:
            return [(name, pool.submit(_infos, f"{place}/{name}", True)) for name in itertools.islice(names, n)]

        asked = deque(ask(_THREADS))
        while asked:
            name, answer = asked.popleft()
            infos = answer.result()
            del answer  # it would hold the list itself
            asked += ask(1)
            yield from _found(name, _rows(infos, f"{place}/{name}"))


def is_file(place: str) -> bool:
    """Whether a file lies at this very address. Raises LakeError where it does not answer."""
    source, path = filesystem(place)
    from pyarrow.fs import FileType

    with contextlib.suppress(PermissionError), plain_errors(place):
        return bool(source.get_file_info(path).type == FileType.File)
    return False  # who may list only, may not ask about a single file


def _found(folder: str, rows: Iterable[_Row]) -> Iterator[Listed]:
    hidden: set[str] = set()
    for name, n_bytes, mtime_ns in rows:
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


def _listed(place: str, *, recursive: bool) -> Iterator[_Row]:
    """Path under the place, size (None for a folder), time. A folder that has just been there may be gone."""
    return _rows(_infos(place, recursive), place)


def _rows(infos: list[Any], place: str) -> Iterator[_Row]:
    """What Arrow has told, which is used up: of a million files there are never as many tuples."""
    from pyarrow.fs import FileType

    base = filesystem(place)[1].strip("/")
    infos.reverse()
    while infos:
        info = infos.pop()
        name = info.path.lstrip("/")
        name = name.removeprefix(f"{base}/") if base else name
        if name and name != base:
            yield name, info.size if info.type == FileType.File else None, info.mtime_ns or 0


def _infos(place: str, recursive: bool) -> list[Any]:
    """Arrow's words on everything in a folder."""
    source, path = filesystem(place)
    from pyarrow.fs import FileSelector

    try:
        with plain_errors(place):
            infos: list[Any] = source.get_file_info(FileSelector(path, allow_not_found=recursive, recursive=recursive))
            return infos
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
