"""This machine's cores: processes that may die without taking the job with them, and threads.

`loky` keeps one pool for all steps of a program, needs no `if __name__ == "__main__":` in users' scripts, and tells
when a worker was killed. A photo that kills its worker is found by trying the photos of its chunk one by one.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fledged.spreading.jobs import Job
from fledged.spreading.workplace import folder_here, quiet_pillow

Item = TypeVar("Item")
Result = TypeVar("Result")

_ATTEMPTS = 2  # of a photo by itself: a worker may also have been killed from outside


def in_processes(
    function: Callable[[Item], Result],
    chunks: Iterable[Sequence[Item]],
    on_crash: Callable[[Item], Result],
    workers: int,
) -> Iterator[list[Result]]:
    """`function` of each item, chunk by chunk, in order; at most a few chunks a worker are in flight."""
    in_flight: deque[tuple[Sequence[Item], Future[list[Result]]]] = deque()
    upcoming = iter(chunks)
    while True:
        while len(in_flight) < 4 * workers and (chunk := next(upcoming, None)) is not None:
            in_flight.append((chunk, _submit(function, chunk, workers)))
        if not in_flight:
            return
        chunk, future = in_flight.popleft()
        yield _outcome(function, chunk, future, on_crash, workers)


def in_threads(job: Job[Item, Result], batches: Iterable[Sequence[Item]], workers: int) -> Iterator[Sequence[Result]]:
    """The job's answers, batch by batch, in order. No more than two batches a thread are in memory."""
    run = job.open()
    waiting: deque[Future[Sequence[Result]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="photos", initializer=job.enter)
    try:
        for batch in batches:
            waiting.append(pool.submit(run, batch))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also after Ctrl-C, and where nobody wants the rest
        pool.shutdown(cancel_futures=True)


def _submit(function: Callable[[Item], Result], chunk: Sequence[Item], workers: int) -> Future[list[Result]]:
    from loky import get_reusable_executor
    from loky.process_executor import BrokenProcessPool

    def submit() -> Future[list[Result]]:
        executor = get_reusable_executor(max_workers=workers, timeout=60)
        future: Future[list[Result]] = executor.submit(_run_chunk, function, chunk, folder_here())
        return future

    try:
        return submit()
    except BrokenProcessPool:  # by an earlier chunk, since the pool was asked for: the next one is new
        return submit()


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
        # The pool's other chunks broke with it; each comes here, and is tried again photo by photo.
        return [_alone(function, item, on_crash, workers) for item in chunk]


def _alone(function: Callable[[Item], Result], item: Item, on_crash: Callable[[Item], Result], workers: int) -> Result:
    from loky.process_executor import BrokenProcessPool

    for _ in range(_ATTEMPTS):
        try:
            return _submit(function, [item], workers).result()[0]
        except BrokenProcessPool:
            continue
    return on_crash(item)


def _run_chunk(function: Callable[[Item], Result], chunk: Sequence[Item], folder: str) -> list[Result]:
    # A worker lives on from step to step: without this it would stay where the program was when it began.
    os.chdir(folder)
    with quiet_pillow():  # around the chunk: a fifth of a millisecond a photo otherwise
        return [function(item) for item in chunk]
