"""The curves of a training as places in frames of 100 by 100: one source for the page and for the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from fledged.pages.axes import Axis, axis

_MOST_DOTS = 500
_MOST_PLACES = 400

Place = tuple[float, float]  # across and down, 0..100


@dataclass(frozen=True, slots=True)
class Line:
    """Values joined by a line."""

    name: str
    kind: Literal["train", "val"]
    places: tuple[Place, ...]

    @property
    def points(self) -> str:
        """As SVG wants them."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.places)


@dataclass(frozen=True, slots=True)
class Chart:
    """A quantity over epochs or steps."""

    title: str
    is_share: bool
    first: str  # what stands at the left end, and at the right one
    last: str
    up: Axis
    lines: tuple[Line, ...]
    dots: tuple[Place, ...] = ()
    dots_name: str = ""
    best: Place | None = None
    best_name: str = ""

    @property
    def path(self) -> str:
        """The dots as an SVG path, whose round ends are seen."""
        return "".join(f"M{x:g},{y:g}h0" for x, y in self.dots)

    def value(self, tick: float) -> str:
        """A tick in words."""
        return f"{tick:.0%}" if self.is_share else f"{tick:g}"


def charts(history: pl.DataFrame, steps: pl.DataFrame, best_epoch: int) -> tuple[Chart, ...]:
    """Accuracy and loss by epoch; batch loss and learning rate by step, where steps were kept."""
    return (
        _by_epoch(history, "accuracy", best_epoch),
        _by_epoch(history, "loss", best_epoch),
        *((_batch_loss(steps), _rates(steps)) if len(steps) else ()),
    )


def smoothed(values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]], span: int) -> list[float]:
    """An exponential mean over about `span` values, corrected for its start."""
    keep, mean, result = 1 - 2 / (span + 1), 0.0, []
    for number, value in enumerate(values, start=1):
        mean = keep * mean + (1 - keep) * float(value)
        result.append(mean / (1 - keep**number))
    return result


def span_of(n_steps: int) -> int:
    """Steps that the smoothed loss is a mean of: a thirtieth of them, five at least."""
    return max(5, n_steps // 30)


def every_of(n_steps: int) -> int:
    """Every how manieth step has a dot."""
    return -(-n_steps // _MOST_DOTS)


def _by_epoch(history: pl.DataFrame, name: str, best_epoch: int) -> Chart:
    epochs = [float(epoch) for epoch in history["epoch"]]
    train, val = history[f"train_{name}"].to_list(), history[f"val_{name}"].to_list()
    is_share = name == "accuracy"
    up = axis(min(*train, *val), 1.0) if is_share else axis(0.0, max(*train, *val))
    best = val[epochs.index(best_epoch)]
    return Chart(
        title=f"{name.capitalize()} by epoch",
        is_share=is_share,
        first=f"epoch {epochs[0]:.0f}",
        last=f"{epochs[-1]:.0f}" if len(epochs) > 1 else "",
        up=up,
        lines=(
            Line("training", "train", _places(epochs, train, up)),
            Line("validation", "val", _places(epochs, val, up)),
        ),
        best=_places(epochs, val, up)[epochs.index(best_epoch)],
        best_name=f"epoch {best_epoch}: {best:.1%}" if is_share else f"epoch {best_epoch}: {best:.3g}",
    )


def _batch_loss(steps: pl.DataFrame) -> Chart:
    numbers, losses = steps["step"].to_list(), steps["loss"].to_list()
    mean = smoothed(losses, span_of(len(losses)))
    # A few wild batches must not press all others to the floor: they lie on the edge of the frame.
    up = axis(0.0, max(float(np.quantile(losses, 0.98)), max(mean)))
    dots = _places(numbers, losses, up)[:: every_of(len(losses))]
    lines = (Line("smoothed", "val", _thinned(_places(numbers, mean, up))),)
    return _by_step("Loss of the batch by step", numbers, up, lines, dots, "one batch")


def _rates(steps: pl.DataFrame) -> Chart:
    numbers, rates = steps["step"].to_list(), steps["learning_rate"].to_list()
    up = axis(0.0, max(rates))
    lines = (Line("learning rate", "val", _thinned(_places(numbers, rates, up))),)
    return _by_step("Learning rate by step", numbers, up, lines)


def _by_step(
    title: str,
    numbers: Sequence[float],
    up: Axis,
    lines: tuple[Line, ...],
    dots: tuple[Place, ...] = (),
    dots_name: str = "",
) -> Chart:
    last = f"{numbers[-1]:,}" if len(numbers) > 1 else ""
    return Chart(title, False, f"step {numbers[0]:,}", last, up, lines, dots, dots_name)


def _places(across: Sequence[float], values: Sequence[float], up: Axis) -> tuple[Place, ...]:
    """Where values lie; a single one lies in the middle, and what is no number is left out."""
    low, high = across[0], across[-1]
    share = [50.0 if high == low else round(100 * (x - low) / (high - low), 2) for x in across]
    pairs = zip(share, values, strict=True)
    return tuple((x, round(100 - up.at(y), 2)) for x, y in pairs if math.isfinite(y))


def _thinned(places: tuple[Place, ...]) -> tuple[Place, ...]:
    """No more than what can be seen, the last one included."""
    every = -(-len(places) // _MOST_PLACES)
    return (*places[::every], places[-1]) if every > 1 else places
