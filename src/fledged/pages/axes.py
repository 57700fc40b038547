"""Ranges of values with round ticks, as positions in per cent: drawn in HTML, text keeps its size at any width."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MAX_TICKS = 6


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, with round ticks; on a logarithmic one both ends are above 0."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, 0..100; what lies outside is drawn on the edge."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        share = (value - low) / (high - low)
        return round(100 * min(max(share, 0.0), 1.0), 3)


def axis(low: float, high: float) -> Axis:
    """A range that holds both, with at most six round ticks."""
    scale = max(abs(low), abs(high))
    span = high - low if high - low > 1e-9 * max(scale, 1e-9) else scale if scale > 1e-12 else 1.0
    power = 10 ** math.floor(math.log10(span / _MAX_TICKS))
    step = next(s * power for s in (1, 2, 2.5, 5, 10, 20) if span / (s * power) <= _MAX_TICKS - 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{i * step:.10g}") for i in range(first, max(last, first + 1) + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def log_axis(low: float, high: float) -> Axis:
    """A logarithmic range from just below `low` (> 0) to just above `high`, with two to six ticks at 1, 2, 5, 10, …"""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    steps = [float(f"{step}e{power}") for power in range(first, last + 1) for step in (1, 2, 5)]
    start = max(i for i, step in enumerate(steps) if step <= low)
    end = min(i for i, step in enumerate(steps) if step >= high and i > start)
    inside = steps[start : end + 1]
    tens = [step for step in inside if f"{step:e}".startswith("1.")]
    for ticks in (inside, tens, tens[:: max(1, math.ceil(len(tens) / _MAX_TICKS))]):
        if len(ticks) <= _MAX_TICKS:
            return Axis(inside[0], inside[-1], tuple(ticks), is_log=True)
    raise AssertionError("the last choice has few ticks")
