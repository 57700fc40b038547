"""The reliability diagram as positions in per cent of its square frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fledged.pages.axes import Axis, axis
from fledged.products import CalibrationFigures, ConfidenceBin


@dataclass(frozen=True, slots=True)
class Point:
    """A bin: its mean confidence, and its share of right answers with the interval."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Diagram:
    """Both directions have the same axis."""

    axis: Axis
    before: list[Point]
    after: list[Point]


def diagram(figures: CalibrationFigures | None) -> Diagram | None:
    """From below all points to 100%; intervals may reach farther down. None without figures."""
    if figures is None:
        return None
    shown = [*figures.before, *figures.after]
    both_ways = axis(min(0.9, *(min(entry.confidence, entry.right.value) for entry in shown)), 1.0)
    return Diagram(both_ways, _points(figures.before, both_ways), _points(figures.after, both_ways))


def _points(bins: Sequence[ConfidenceBin], both_ways: Axis) -> list[Point]:
    at = both_ways.at
    return [Point(at(b.confidence), at(b.right.value), at(b.right.low), at(b.right.high)) for b in bins]
