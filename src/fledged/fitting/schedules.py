"""The learning rate of each step, as a share of its peak: pure functions of the step and of what was measured so far.

All of them go by shares of the whole training, not by numbers of epochs, so that none leaves most of a long training
with a rate of almost nothing, or a short one with its peak alone. Steps count from 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# One cycle (L. Smith and N. Topin, Super-Convergence, 2018): the share of steps that warm up, and how far below the
# peak it starts and ends.
_WARM_UP = 0.25
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4

# Cosine (I. Loshchilov and F. Hutter, SGDR, 2017, without restarts), after a linear warm-up (P. Goyal et al., 2017).
_COSINE_WARM_UP = 0.05

# Steps: a tenth from the half on, a hundredth for the last quarter (K. He et al., Deep Residual Learning, 2016).
_STEPS = ((0.5, 0.1), (0.75, 0.01))

# Cycles (L. Smith, Cyclical Learning Rates for Training Neural Networks, 2017): from a quarter of the peak up and down
# again, about four epochs each.
_CYCLE_LOW = 0.25
_CYCLE_EPOCHS = 4

# Plateau: a tenth after so many epochs without a better one, and never below a thousandth.
_PLATEAU_EPOCHS = 4
_PLATEAU_FACTOR = 0.1
_PLATEAU_END = 1e-3


@dataclass(frozen=True, slots=True)
class Length:
    """How long training is."""

    epochs: int
    per_epoch: int  # steps

    @property
    def steps(self) -> int:
        """In all."""
        return self.epochs * self.per_epoch


def share(schedule: str, step: int, length: Length, val_losses: Sequence[float] = ()) -> float:
    """The learning rate of a step over its peak, above 0 and up to 1; `val_losses` are those of the epochs before."""
    match schedule:
        case "one_cycle":
            return one_cycle(step, length.steps)
        case "cosine":
            return cosine(step, length.steps)
        case "step":
            return stepwise(step, length.steps)
        case "cyclic":
            return cyclic(step, length)
        case "plateau":
            return plateau(val_losses)
        case "constant":
            return 1.0
    raise ValueError(f"no schedule {schedule!r}")


def one_cycle(step: int, steps: int) -> float:
    """Cosine up for a quarter of the steps, then cosine down to a ten-thousandth."""
    warm_up = max(1, round(steps * _WARM_UP))
    if step < warm_up:
        return _cosine(1 / _START_DIVISOR, 1.0, step / warm_up)
    return _cosine(1.0, 1 / _END_DIVISOR, (step - warm_up) / max(1, steps - warm_up - 1))


def cosine(step: int, steps: int) -> float:
    """A straight line up for a twentieth of the steps, then cosine down to a ten-thousandth."""
    warm_up = max(1, round(steps * _COSINE_WARM_UP))
    if step < warm_up:
        return (step + 1) / warm_up
    return _cosine(1.0, 1 / _END_DIVISOR, (step - warm_up + 1) / max(1, steps - warm_up))


def stepwise(step: int, steps: int) -> float:
    """The peak for the first half, a tenth for the next quarter, a hundredth for the last."""
    return next((value for start, value in reversed(_STEPS) if step >= start * steps), 1.0)


def cyclic(step: int, length: Length) -> float:
    """Triangles between a quarter of the peak and the peak, a whole number of them; it starts and ends low."""
    cycles = max(1, length.epochs // _CYCLE_EPOCHS)
    through = step / max(1, length.steps - 1) * cycles  # cycles so far
    return 1.0 - (1.0 - _CYCLE_LOW) * abs(2 * (through - math.floor(through)) - 1)


def plateau(val_losses: Sequence[float]) -> float:
    """A tenth of what it was, each time that four epochs have brought no lower validation loss than those before."""
    share, best, waited = 1.0, math.inf, 0
    for loss in val_losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited == _PLATEAU_EPOCHS:
            share, waited = max(share * _PLATEAU_FACTOR, _PLATEAU_END), 0
    return share


def is_over(val_losses: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` epochs brought no lower validation loss than those before; never where it is 0."""
    if not patience or len(val_losses) <= patience:
        return False
    return min(val_losses[-patience:]) >= min(val_losses[:-patience])


def _cosine(start: float, end: float, through: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(through, 1.0))) / 2
