"""Photos that come while the model is at work wait for each other, and go through it together, within a bound of time.

Off unless `serve.batch.max_photos` asks for it: on the processors that were measured, photos one by one on as many
cores are as fast (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fledged.predicting.sessions import Session

_PHOTOS = "photos"


class _Batch:
    """Photos that will be answered at once, and then their answers."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.n = 0
        self.go, self.done = threading.Event(), threading.Event()
        self.outputs: list[Any] = []
        self.error: BaseException | None = None

    def add(self, photos: Any) -> slice:
        start, self.n = self.n, self.n + len(photos)
        self.parts.append(photos)
        return slice(start, self.n)


class Batches:
    """Runs a model on the photos of several threads at once, at most `most`, none of which waits longer than `wait_s`.

    Who finds the model idle is not kept waiting. Whoever begins a batch runs it, for all who have joined.
    """

    def __init__(self, session: Session, most: int, wait_s: float) -> None:
        self._session = session
        self._most, self._wait_s = most, wait_s
        self._lock = threading.Lock()
        self._open: dict[tuple[str, ...], _Batch] = {}  # by the outputs that are wanted
        self._n_running = 0

    def run(self, names: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """As InferenceSession.run, of photos alone."""
        wanted = tuple(names)
        with self._lock:
            batch = self._open.get(wanted)
            begins = batch is None
            if batch is None:
                batch = self._open[wanted] = _Batch()
            mine = batch.add(inputs[_PHOTOS])
            if batch.n >= self._most:
                del self._open[wanted]  # the next one begins another
                batch.go.set()
            if not self._n_running:
                batch.go.set()
        if begins:
            batch.go.wait(self._wait_s)
            self._answer(batch, wanted)
        else:
            batch.done.wait()
        if batch.error is not None:
            raise batch.error
        return [output[mine] for output in batch.outputs]

    def _answer(self, batch: _Batch, wanted: tuple[str, ...]) -> None:
        with self._lock:
            if self._open.get(wanted) is batch:
                del self._open[wanted]
            self._n_running += 1
        try:
            batch.outputs = self._session.run(wanted, {_PHOTOS: np.concatenate(batch.parts)})
        except BaseException as error:  # each of them is told
            batch.error = error
        finally:
            with self._lock:
                self._n_running -= 1
                if not self._n_running:
                    for waiting in self._open.values():
                        waiting.go.set()
            batch.done.set()
