"""One model, opened twice: with a thread for each core for a photo that is alone, with one for photos in a crowd.

Photos that are answered at the same time fill the cores by themselves; more threads would only take them from each
other. Batches would be no faster: benchmarks/RESULTS.md.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


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

    def run(self, names: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """As InferenceSession.run."""
        with self._lock:
            self._n_running += 1
            session = self._alone if self._n_running == 1 else self._crowd
        try:
            return session.run(names, inputs)
        finally:
            with self._lock:
                self._n_running -= 1
