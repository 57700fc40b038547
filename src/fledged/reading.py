"""The bytes of photos, from a disk or from a bucket.

While a photo of a bucket is decoded, those that come next are on their way: a request to a bucket takes tens of
milliseconds, whatever it is for, and a core decodes a photo in as many. Without this, it would wait half of its time.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedReader
from typing import NamedTuple

from fledged import regular
from fledged.places import TooLarge, download, is_remote
from fledged.regular import NotRegular as NotRegular

# Of each process: requests at a time, and what they may hold before anybody asks for it.
_THREADS = 8
_MOST_BYTES = 64 * 2**20
_MOST_FILES = 64
_FRESH_S = 30.0  # older bytes may be no more what lies there
_UNKNOWN_BYTES = 4 * 2**20  # what a file without a known size counts for

_BLOCK = 16  # as many photos as a worker process is given at a time


class Spot(NamedTuple):
    """A file to read, and those that will be read right after it."""

    place: str
    n_bytes: int = -1  # as it was listed; -1 is unknown
    ahead: tuple[tuple[str, int], ...] = ()  # places and sizes


File = Spot | str | os.PathLike[str]  # a path or an address


def spots(places: Sequence[str], sizes: Sequence[int] | None = None) -> list[Spot]:
    """Files in the order in which they will be read, with their sizes where these are known.

    Those of a part are the same as long as it begins at a multiple of 16: `rows.Rows` may make them part by part.
    """
    there = list(zip(places, sizes or [-1] * len(places), strict=True))
    return [
        Spot(place, n_bytes, tuple(there[at + 1 : at - at % _BLOCK + _BLOCK]) if is_remote(place) else ())
        for at, (place, n_bytes) in enumerate(there)
    ]


def read(file: File, max_bytes: int | None = None) -> bytes:
    """The bytes of a file. Raises OSError: FileNotFoundError, PermissionError, TooLarge, NotRegular, Changed.

    Where a bucket does not answer it is a LakeError, as in `places.open_remote`.
    """
    spot = file if isinstance(file, Spot) else Spot(os.fspath(file))
    if is_remote(spot.place):
        return _ahead.read(spot, max_bytes)
    with _opened(spot.place) as opened:
        n_bytes = os.fstat(opened.fileno()).st_size
        if max_bytes is not None and n_bytes > max_bytes:
            raise TooLarge(n_bytes)
        return opened.read()


def _opened(place: str) -> BufferedReader:
    """A folder in the place of a photo is no photo either."""
    try:
        return regular.opened(place)
    except IsADirectoryError as error:
        raise NotRegular(errno.EINVAL, "not a regular file", place) from error


class _Ahead:
    """What one process has on its way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._coming: OrderedDict[str, tuple[int, float, Future[bytes]]] = OrderedDict()
        self._n_bytes = 0

    def read(self, spot: Spot, max_bytes: int | None) -> bytes:
        with self._lock:
            known = self._coming.pop(spot.place, None)
            self._n_bytes -= known[0] if known else 0
            for place, n_bytes in spot.ahead:
                self._begin(place, n_bytes, max_bytes)
        if known is None or known[1] < time.monotonic() - _FRESH_S:
            return download(spot.place, spot.n_bytes, max_bytes)
        data = known[2].result()
        if max_bytes is not None and len(data) > max_bytes:
            raise TooLarge(len(data))
        return data

    def _begin(self, place: str, n_bytes: int, max_bytes: int | None) -> None:
        counted = _UNKNOWN_BYTES if n_bytes < 0 else n_bytes
        is_too_large = max_bytes is not None and n_bytes > max_bytes
        if place in self._coming or is_too_large or self._n_bytes + counted > _MOST_BYTES:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="ahead")
        self._coming[place] = counted, time.monotonic(), self._pool.submit(download, place, n_bytes, max_bytes)
        self._n_bytes += counted
        while len(self._coming) > _MOST_FILES:  # asked for by a chunk that has gone elsewhere
            _, (freed, _, stale) = self._coming.popitem(last=False)
            stale.cancel()
            self._n_bytes -= freed


_ahead = _Ahead()
