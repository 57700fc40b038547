"""Thousands of photos at the speed of decoding and inference: a thread a core, or a cluster, a batch at a time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from fledged.engine import LOCAL, Engine, map_batches, n_workers

if TYPE_CHECKING:
    from fledged.predicting.predictor import Predictor
    from fledged.products import Failure, Prediction

Name = TypeVar("Name")
Read = Callable[[], bytes]  # the bytes of a photo, when they are needed; raises RequestError

# Photos that go through the model together: 16 take no less of a core's time than 4, and twice the memory.
BATCH = 4


def answer_many(
    predictor: Predictor, asked: Iterable[tuple[Name, Read]], top_k: int, on: Engine = LOCAL
) -> Iterator[tuple[Name, Prediction | Failure]]:
    """Each photo's name with its answer, in order; a photo that cannot be answered is a Failure, not an exception.

    Reads, decodes and infers a batch in one thread and the next batch in another: cores never wait for each other, as
    they do where one decodes for another, or where several share one inference. No more than two batches a core are in
    memory, however many photos there are. Batches are the same on a cluster, and so are the answers.
    """
    if not on.is_here:
        yield from _elsewhere(predictor, asked, top_k, on)
        return
    n_threads = n_workers(0)
    waiting: deque[tuple[Sequence[Name], Future[list[Prediction | Failure]]]] = deque()
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="predict")
    try:
        for batch in _batches(iter(asked)):
            reads = [read for _, read in batch]
            waiting.append(([name for name, _ in batch], pool.submit(predictor.predict_batch, reads, top_k)))
            if len(waiting) >= 2 * n_threads:
                yield from _answers(*waiting.popleft())
        while waiting:
            yield from _answers(*waiting.popleft())
    finally:  # also after Ctrl-C, and where nobody wants the rest
        pool.shutdown(cancel_futures=True)


def _elsewhere(
    predictor: Predictor, asked: Iterable[tuple[Name, Read]], top_k: int, on: Engine
) -> Iterator[tuple[Name, Prediction | Failure]]:
    from fledged.predicting.elsewhere import CRASHED, portable

    names: deque[Name] = deque()  # of the photos that are under way

    def reads() -> Iterator[list[Read]]:
        for batch in _batches(iter(asked)):
            names.extend(name for name, _ in batch)
            yield [portable(read) for _, read in batch]

    for answers in map_batches(predictor.job(top_k), reads(), lambda _: CRASHED, on):
        for answer in answers:
            yield names.popleft(), answer


def _answers(
    names: Sequence[Name], future: Future[list[Prediction | Failure]]
) -> Iterator[tuple[Name, Prediction | Failure]]:
    return zip(names, future.result(), strict=True)


def _batches(asked: Iterator[tuple[Name, Read]]) -> Iterator[list[tuple[Name, Read]]]:
    while batch := list(itertools.islice(asked, BATCH)):
        yield batch
