"""Which bundle answers: one at a time, changed between two photos, with the one before kept to go back to."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from fledged.predicting.predictor import Predictor
from fledged.serving.drift import Window


@dataclass(frozen=True, slots=True)
class Served:
    """A predictor and what it answered lately."""

    predictor: Predictor
    window: Window = field(compare=False)


class Switch:
    """Holds what is served. A request takes `now` once and keeps to it, whatever comes meanwhile."""

    def __init__(self, predictor: Predictor) -> None:
        self.now = _served(predictor)
        self.before: Served | None = None
        self._lock = threading.Lock()

    def change(self, predictor: Predictor) -> None:
        """Serve this one from now on; it must be warm."""
        if not predictor.is_warm:
            raise ValueError("a predictor is warmed up before it is served")
        served = _served(predictor)
        with self._lock:
            self.before, self.now = self.now, served

    def go_back(self) -> Served | None:
        """Serve the one before again, and return it; None where there is none.

        Going back twice brings the newer one again.
        """
        with self._lock:
            if self.before is not None:
                self.before, self.now = self.now, self.before
                return self.now
        return None


def _served(predictor: Predictor) -> Served:
    return Served(predictor, Window(predictor.bundle.spread))
