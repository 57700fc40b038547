"""SIGTERM while training: what schedulers and containers send before they kill."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_LOG = logging.getLogger("fledged")

AGAIN = "Stopped by SIGTERM; what is finished is kept. To go on: run the same command again"
RESUME = "Stopped by SIGTERM, and saved. To go on: fledged train --resume"


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: what is whole is to be saved, like after Ctrl-C, and then the process ends."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """SIGTERM does nothing in here: what is being saved is saved. For a process's main thread, like the other one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def terminable(words: str) -> Iterator[None]:
    """The first SIGTERM in here raises Terminated, which leaves here as the end of the process: these words, and exit
    code 0.

    Later ones do nothing, so that what the first one began to save is saved. Only a process's main thread is told of
    signals; in any other nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    except Terminated:
        _LOG.warning(words)
        raise SystemExit(0) from None
    finally:
        signal.signal(signal.SIGTERM, before)
