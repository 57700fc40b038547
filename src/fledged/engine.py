"""Map a function over photos, in processes that may die without taking the job with them.

`loky` keeps one pool for all steps of a program, needs no `if __name__ == "__main__":` in users' scripts, and tells
when a worker was killed. A photo that kills its worker is found by trying the photos of its chunk one by one.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from fledged.progress import Report

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting processes costs about half a second: not worth it below this many photos.
_SERIAL_BELOW = 64
_CHUNK = 16


def n_workers(wanted: int) -> int:
    """`wanted`, or one a core that this process may use."""
    return wanted or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else wanted or os.cpu_count() or 1


def map_photos(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    on_crash: Callable[[Item], Result],
    workers: int,
    step: str,
    report: Report,
) -> Iterator[Result]:
    """`function` of each item, in order. `on_crash` answers for an item that killed its worker process.

    `function` must be importable (a module's function, or functools.partial of one). At most a few chunks a worker are
    in flight, so memory does not grow with the number of items.
    """
    workers = n_workers(workers)
    report(step, 0, len(items))
    if len(items) < _SERIAL_BELOW or workers == 1:
        for done, item in enumerate(items, start=1):
            with _quiet_pillow():
                result = function(item)
            yield result
            report(step, done, len(items))
        return
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    in_flight: deque[tuple[Sequence[Item], Future[list[Result]]]] = deque()
    done, upcoming = 0, iter(chunks)
    while True:
        while len(in_flight) < 4 * workers and (chunk := next(upcoming, None)) is not None:
            in_flight.append((chunk, _submit(function, chunk, workers)))
        if not in_flight:
            return
        chunk, future = in_flight.popleft()
        results = _outcome(function, chunk, future, on_crash, workers)
        yield from results
        done += len(results)
        report(step, done, len(items))


def _submit(function: Callable[[Item], Result], chunk: Sequence[Item], workers: int) -> Future[list[Result]]:
    from loky import get_reusable_executor

    executor = get_reusable_executor(max_workers=workers, timeout=60)
    future: Future[list[Result]] = executor.submit(_run_chunk, function, chunk, _folder_here())
    return future


def _outcome(
    function: Callable[[Item], Result],
    chunk: Sequence[Item],
    future: Future[list[Result]],
    on_crash: Callable[[Item], Result],
    workers: int,
) -> list[Result]:
    from loky.process_executor import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool:
        if len(chunk) == 1:
            return [on_crash(chunk[0])]
        # The pool's other chunks broke with it; each comes here and is tried again photo by photo.
        return [
            result
            for item in chunk
            for result in _outcome(function, [item], _submit(function, [item], workers), on_crash, workers)
        ]


def _folder_here() -> str:
    """The folder that relative paths are read from; the root where that folder has been removed meanwhile."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return os.sep


def _run_chunk(function: Callable[[Item], Result], chunk: Sequence[Item], folder: str) -> list[Result]:
    # A worker lives on from step to step: without this it would stay where the program was when it began.
    os.chdir(folder)
    with _quiet_pillow():  # around the chunk: a fifth of a millisecond a photo otherwise
        return [function(item) for item in chunk]


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Without Pillow's own words about damaged files: they name none, and the reason is in the photo's row."""
    pillow = logging.getLogger("PIL")
    level = pillow.level
    pillow.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    finally:
        pillow.setLevel(level)
