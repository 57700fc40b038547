"""Whether the photos of now are like those that the model was judged on, told from its answers alone.

The population stability index (PSI) compares two histograms: the sum over bins of (a - e) ln(a / e), with e a bin's
share among the photos that the bundle was judged on and a its share among the last ones answered. Rule of thumb of
credit scoring, where it comes from: below 0.1 nothing has changed, above 0.25 much has (N. Siddiqi, Credit Risk
Scorecards, 2006). Two samples of n and m photos from the same source are expected to show (bins - 1) (1/n + 1/m) by
chance (B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model
Validation 14(4), 2020).
"""

from __future__ import annotations

import bisect
import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from fledged.measured import Histogram, Spread

WINDOW = 1000  # photos
MIN_PHOTOS = 100  # fewer say nothing


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the answers of now are from those to the photos that the bundle was judged on."""

    of: str  # confidence or unknown_score
    psi: float
    psi_by_chance: float  # expected where nothing has changed
    n_photos: int  # in the window


class Window:
    """The last answers of one bundle, binned; any thread may add to it."""

    def __init__(self, spread: Spread | None) -> None:
        self._histograms: dict[str, Histogram] = {}
        if spread is not None:
            self._histograms["confidence"] = spread.confidence
            if spread.unknown_score is not None:
                self._histograms["unknown_score"] = spread.unknown_score
        self._bins: dict[str, deque[int]] = {of: deque(maxlen=WINDOW) for of in self._histograms}
        self._lock = threading.Lock()

    def add(self, confidence: float, unknown_score: float | None) -> None:
        """Take an answer into account."""
        with self._lock:
            for of, value in (("confidence", confidence), ("unknown_score", unknown_score)):
                if value is not None and of in self._bins:
                    self._bins[of].append(bisect.bisect_right(self._histograms[of].edges, value))

    def drifts(self) -> list[Drift]:
        """One for each figure; none where the bundle has no spread of them, or fewer than MIN_PHOTOS were answered."""
        found = []
        with self._lock:
            bins = {of: list(each) for of, each in self._bins.items() if len(each) >= MIN_PHOTOS}
        for of, each in bins.items():
            expected = self._histograms[of].counts
            counts = [0] * len(expected)
            for index in each:
                counts[index] += 1
            by_chance = (len(expected) - 1) * (1 / sum(expected) + 1 / len(each))
            found.append(Drift(of, psi(expected, counts), by_chance, len(each)))
        return found


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """The index of two histograms over the same bins, >= 0. Half a photo is added to each bin: none is empty."""
    n_expected, n_actual = sum(expected) + len(expected) / 2, sum(actual) + len(actual) / 2
    shares = [((e + 0.5) / n_expected, (a + 0.5) / n_actual) for e, a in zip(expected, actual, strict=True)]
    return sum((a - e) * math.log(a / e) for e, a in shares)
