"""A newer bundle is taken up while the server answers: opened, verified and warmed up beside the one that is served.

SIGHUP takes it up, SIGUSR2 goes back to the one before, and `serve.watch` looks for a newer one by itself. A bundle
that cannot be served is told of in the log, and the one that is served goes on.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from fledged.errors import FledgedError
from fledged.places import looks_remote
from fledged.predicting.predictor import MODEL, Predictor
from fledged.product_files import stamp_of
from fledged.products import Bundle
from fledged.serving.metrics import Metrics
from fledged.serving.observing import Tell
from fledged.serving.switch import Switch
from fledged.workspace import Workspace

_LOOK_EVERY_S = 1.0
Order = Literal["reload", "go back", "stop"]


class Reloader:
    """Changes what a switch holds; one order at a time, each in the thread that runs `work`."""

    def __init__(self, switch: Switch, open_newest: Callable[[], Predictor], metrics: Metrics, tell: Tell) -> None:
        self._switch, self._open_newest = switch, open_newest
        self._metrics, self._tell = metrics, tell
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()

    def order(self, order: Order) -> None:
        """Ask for it; safe to call from a handler of signals."""
        self._orders.put(order)

    def work(self, mark: Callable[[], object] | None) -> None:
        """Follow orders until `stop`; where `mark` is given, reload whenever what it returns has changed."""
        seen = mark() if mark else None
        while True:
            try:
                order = self._orders.get(timeout=_LOOK_EVERY_S if mark else None)
            except queue.Empty:
                assert mark is not None
                now = mark()
                if now != seen and now == mark():  # not while it is still being written
                    seen = now
                    self._reload()
                continue
            if order == "stop":
                return
            if order == "reload":
                self._reload()
            else:
                self._go_back()

    def _reload(self) -> None:
        served = self._switch.now.predictor.bundle
        try:
            newer = self._open_newest()
        except (FledgedError, OSError, MemoryError) as error:  # of a moment of many connections too: it goes on
            self._metrics.reload("refused")
            self._tell({"event": "bundle refused", "error": str(error), "bundle_id": served.id})
            return
        if (newer.bundle.id, newer.bundle.files) == (served.id, served.files):
            self._tell({"event": "bundle unchanged", "bundle_id": served.id})
            return
        self._switch.change(newer)
        self._metrics.reload("taken")
        self._tell({"event": "bundle taken up", "bundle_id": newer.bundle.id, "before": served.id})

    def _go_back(self) -> None:
        before = self._switch.now.predictor.bundle.id
        served = self._switch.go_back()
        if served is None:
            self._tell({"event": "no bundle to go back to", "bundle_id": before})
            return
        self._metrics.reload("restored")
        self._tell({"event": "bundle restored", "bundle_id": served.predictor.bundle.id, "before": before})


@contextlib.contextmanager
def reloading(reloader: Reloader, mark: Callable[[], object] | None) -> Iterator[None]:
    """Orders are followed for as long as the block lasts: those of signals too, where this is the main thread."""
    thread = threading.Thread(target=reloader.work, args=[mark], name="reload", daemon=True)
    thread.start()
    orders: dict[str, Order] = {"SIGHUP": "reload", "SIGUSR2": "go back"}
    earlier = {}
    if threading.current_thread() is threading.main_thread():
        for name, order in orders.items():
            if number := getattr(signal, name, None):  # not on every system
                earlier[number] = signal.signal(number, lambda *_, order=order: reloader.order(order))
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        reloader.order("stop")
        thread.join()


def marker(bundle: Bundle | str | os.PathLike[str] | None, work: str | os.PathLike[str]) -> Callable[[], object]:
    """A function whose result changes with what `load(bundle, work=work)` would open: a pointer, a link or files."""

    last: list[object] = [None]

    def mark() -> object:
        # A bucket that does not answer for a while, or too many open files, is no new bundle.
        with contextlib.suppress(FledgedError, OSError):
            last[0] = seen()
        return last[0]

    def seen() -> object:
        if bundle is None:
            folder = Workspace(work).newest(Bundle)
        elif not isinstance(bundle, Bundle) and looks_remote(bundle):
            return stamp_of(Bundle, bundle)
        else:
            folder = Path(bundle.folder if isinstance(bundle, Bundle) else bundle)
        if folder is None:
            return None
        return (os.path.realpath(folder), *(_stamp(folder / name) for name in (f"{Bundle.kind}.json", MODEL)))

    return mark


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_ino, seen.st_mtime_ns, seen.st_size
