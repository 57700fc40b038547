"""Ranges of values with round ticks, as positions in per cent: drawn in HTML, text keeps its size at any width."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MAX_TICKS = 6


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where a value lies, 0..100; what lies outside is drawn on the edge."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 3)


def axis(low: float, high: float) -> Axis:
    """A range that holds both, with at most six round ticks."""
    scale = max(abs(low), abs(high))
    span = high - low if high - low > 1e-9 * max(scale, 1e-9) else scale or 1.0
    power = 10 ** math.floor(math.log10(span / _MAX_TICKS))
    step = next(s * power for s in (1, 2, 2.5, 5, 10, 20) if span / (s * power) <= _MAX_TICKS - 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{i * step:.10g}") for i in range(first, max(last, first + 1) + 1))
    return Axis(ticks[0], ticks[-1], ticks)
