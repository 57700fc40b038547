"""One model, opened twice: with a thread for each core for a photo that is alone, with one for photos in a crowd.

Photos that are answered at the same time fill the cores by themselves; more threads would only take them from each
other. Batches (`batches`) were no faster: benchmarks/RESULTS.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

# Since two were last seen together: of those who wait in line, one always comes first.
_CROWD_LASTS_S = 0.25


class Session(Protocol):
    """What runs a model: an onnxruntime.InferenceSession."""

    def run(self, names: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """The outputs of these names."""


class Sessions:
    """Runs a model as whoever comes finds it: alone, or while others are at it."""

    def __init__(self, alone: Session, crowd: Session) -> None:
        self._alone, self._crowd = alone, crowd
        self._lock = threading.Lock()
        self._n_running = 0
        self._crowded_until_s = 0.0

    def run(self, names: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """As InferenceSession.run."""
        with self._lock:
            self._n_running += 1
            now_s = time.monotonic()
            if self._n_running > 1:
                self._crowded_until_s = now_s + _CROWD_LASTS_S
            session = self._crowd if now_s < self._crowded_until_s else self._alone
        try:
            return session.run(names, inputs)
        finally:
            with self._lock:
                self._n_running -= 1
