"""Charts as positions in per cent of their frame, drawn in HTML by the page: text keeps its size at any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from fledged.measuring.figures import Figures
from fledged.pages.axes import Axis, axis

_FEW_BINS = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """A bin of a histogram: its range as shares, its photos, its height in per cent of the highest."""

    low: float
    high: float
    n: int
    height: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity over the epochs: SVG points in a square of 100 for training and validation."""

    title: str
    is_share: bool
    axis: Axis
    train: str
    val: str
    best_at: float
    best_value: float


def headline_axis(figures: Figures) -> Axis:
    """From below the interval, and below always answering the most common class, to 100%."""
    return axis(min(figures.accuracy.low, figures.baseline, 0.9), 1.0)


def recall_axis(figures: Figures) -> Axis:
    """From below the lowest interval of the classes that have photos, to 100%."""
    lows = [entry.recall.low for entry in figures.by_class if entry.support]
    return axis(min([*lows, 0.9]), 1.0)


def histogram(figures: Figures, counts: Sequence[int]) -> list[Bar]:
    """Bars from the lowest confidence that an answer can have: one in the number of classes."""
    edges = figures.confidence.edges
    highest = max(*counts, 1)
    return [
        Bar(low, high, n, round(100 * n / highest, 2))
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        if high > 1 / len(figures.classes)
    ]


def histogram_axis(figures: Figures) -> Axis:
    """Below the bars of `histogram`, with ticks at the tens, or every second one where there are many."""
    edges = [bar.low for bar in histogram(figures, figures.confidence.right)]
    every = 1 if len(edges) <= _FEW_BINS else 2
    return Axis(edges[0], 1.0, tuple(t / 10 for t in range(0, 11, every) if t / 10 >= edges[0]))


def curves(history: pl.DataFrame, best_epoch: int) -> list[Curve]:
    """Accuracy and loss over the epochs; none where there is no epoch."""
    if history.is_empty():
        return []
    accuracies = _finite([*history["train_accuracy"], *history["val_accuracy"]])
    losses = _finite([*history["train_loss"], *history["val_loss"]])
    return [
        _curve(history, "accuracy", axis(min(accuracies, default=0.0), 1.0), best_epoch),
        _curve(history, "loss", axis(0.0, max(losses, default=1.0)), best_epoch),
    ]


def _curve(history: pl.DataFrame, name: str, values: Axis, best_epoch: int) -> Curve:
    epochs = history["epoch"].to_list()
    across = Axis(epochs[0], epochs[-1] if epochs[-1] > epochs[0] else epochs[0] + 1, ())

    def points(column: str) -> str:
        pairs = zip(epochs, history[column].cast(pl.Float64).to_list(), strict=True)
        return " ".join(f"{across.at(e)},{round(100 - values.at(v), 3)}" for e, v in pairs if _finite([v]))

    best = history.filter(pl.col("epoch") == best_epoch)[f"val_{name}"]
    return Curve(
        title=name.capitalize(),
        is_share=name == "accuracy",
        axis=values,
        train=points(f"train_{name}"),
        val=points(f"val_{name}"),
        best_at=across.at(best_epoch),
        best_value=float(best[0]) if len(best) else math.nan,
    )


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]
