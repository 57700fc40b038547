"""One plain callable carries all progress: `report(step, done, total)`.

Verbs call it; a terminal draws bars from it, a log prints lines, a notebook or a server may pass its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")

# Work shorter than this passes without a word.
_QUIET_S = 2.0
_LOG_EVERY_S = 10.0


class Report(Protocol):
    """Called now and then: `done` of `total` photos, epochs or files of a step are finished."""

    def __call__(self, step: str, done: int, total: int, /) -> None: ...


def silent(step: str, done: int, total: int) -> None:
    """Says nothing."""


def track(items: Iterable[Item], step: str, total: int, report: Report) -> Iterator[Item]:
    """The same items, reported as they are consumed."""
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        report(step, done, total)


def tell(line: str, report: Report) -> None:
    """Say a line beside the progress. A report of somebody else's hears of numbers alone, a silent one of nothing."""
    if isinstance(report, Lines | Bars):
        report.tell(line)


def is_first_process() -> bool:
    """Whether this process speaks for those that a launcher started together; True where it was started alone."""
    return os.environ.get("RANK", "0") == "0" or "WORLD_SIZE" not in os.environ


def n_processes() -> int:
    """That a launcher such as torchrun started together with this one, itself included."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def default() -> Report:
    """Bars where a person looks on (stderr is a terminal), else a line every 10 s; of several processes one speaks."""
    if not is_first_process():
        return silent
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """A line with the ETA every 10 s, for logs."""

    def __init__(self) -> None:
        self._step, self._first = "", 0
        self._start_s = self._last_s = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        """Print a line if it is time."""
        now_s = time.monotonic()
        if step != self._step:
            self._step, self._first, self._start_s, self._last_s = step, done, now_s, now_s
        if now_s - self._last_s < _LOG_EVERY_S or done <= self._first:
            return
        self._last_s = now_s
        left_s = (now_s - self._start_s) / (done - self._first) * (total - done)
        print(f"{step}: {done:,} of {total:,}, about {left_s:.0f} s left", file=sys.stderr, flush=True)

    def tell(self, line: str) -> None:
        """Print it; the next of the usual lines then waits for as long as after one of them."""
        self._last_s = time.monotonic()
        print(line, file=sys.stderr, flush=True)


class Bars:
    """One live bar for the step at hand, with rate and ETA; it appears once a step has lasted 2 s."""

    def __init__(self) -> None:
        self._step, self._first = "", 0
        self._start_s = 0.0
        self._bar: _RichBar | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        """Draw, move on or take away the bar."""
        if step != self._step:
            self._close()
            self._step, self._first, self._start_s = step, done, time.monotonic()
        if self._bar is None and done < total and time.monotonic() - self._start_s > _QUIET_S:
            self._bar = _RichBar(step, self._first, total, self._start_s)
        if self._bar is not None:
            self._bar.move(done)
            if done >= total:
                self._close()

    def tell(self, line: str) -> None:
        """Print it, above the bar where there is one."""
        if self._bar is None:
            print(line, file=sys.stderr, flush=True)
        else:
            self._bar.tell(line)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}/s" if a_second >= 10 or not a_second else f"{a_second:.1f}/s"


class _RichBar:
    def __init__(self, step: str, first: int, total: int, start_s: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._first, self._start_s = first, start_s
        self._task = self._progress.add_task(step, total=total, rate="")
        self._progress.start()

    def move(self, done: int) -> None:
        elapsed_s = max(time.monotonic() - self._start_s, 1e-9)
        self._progress.update(self._task, completed=done, rate=_rate((done - self._first) / elapsed_s))

    def tell(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()
