"""Photos wait in a line of bounded length, and nobody waits for longer than they were promised."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from starlette.datastructures import State

from fledged.errors import RequestError

Answer = TypeVar("Answer")

# What a server sets in a request's state when whoever sent it hangs up; Lambda's cannot.
GONE = "client_is_gone"

# Refusals wait for this long, and each of them holds a connection meanwhile.
_PAUSE_S, _MOST_PAUSED = 0.5, 256


def is_gone(state: State) -> bool:
    """Whether nobody would read the answer any more."""
    return bool(getattr(state, GONE, False))


class Line:
    """Runs work in `n_at_once` threads; `n_waiting` more may wait for one, others are refused."""

    def __init__(self, n_at_once: int, n_waiting: int, deadline_s: float) -> None:
        self._pool = ThreadPoolExecutor(n_at_once, thread_name_prefix="answer")
        self._n_at_once = n_at_once
        self._n_places = n_at_once + n_waiting
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._n_taken = 0
        self._n_paused = 0

    async def check(self) -> None:
        """Raises RequestError (429) where the line is full: before a photo is received that nobody could answer.

        It does so after a pause, of so many at a time: clients that come back at once would otherwise take the cores
        from the photos that are being answered.
        """
        if self._n_taken < self._n_places:
            return
        if self._n_paused < _MOST_PAUSED:
            self._n_paused += 1
            try:
                await asyncio.sleep(_PAUSE_S)
            finally:
                self._n_paused -= 1
        raise _full()

    def lengths(self) -> tuple[int, int]:
        """How many are worked for, and how many wait."""
        n_taken = self._n_taken
        return min(n_taken, self._n_at_once), max(0, n_taken - self._n_at_once)

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """What `work` returns. Raises RequestError: 429 where the line is full, 504 where it takes too long.

        Work that took too long goes on to its end, since a thread cannot be stopped, and keeps its place until then;
        what has not begun never does.
        """
        with self._lock:
            if self._n_taken >= self._n_places:
                raise _full()
            self._n_taken += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise RequestError(
                f"No answer within {self._deadline_s:g} s",
                status=504,
                remedy="Try again later, or with a smaller photo.",
            ) from error

    def _leave(self, _: Future[Answer]) -> None:
        with self._lock:
            self._n_taken -= 1


def _full() -> RequestError:
    what = "More photos are waiting than can be answered soon"
    return RequestError(what, status=429, remedy="Try again in a second.")
