"""What ends a training: a loss that is no longer a number, and memory that runs out; each with the way on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from fledged.errors import TrainingError
from fledged.fitting.plan import Plan


class Diverged(TrainingError):
    """The loss of an epoch is no longer a number; the weights that came of it are lost, those before it are not."""


def diverged(epoch: int, plan: Plan) -> Diverged:
    """With the way on."""
    return Diverged(
        f"Training diverged in epoch {epoch}: the loss is no longer a number",
        remedy=f"Take a lower rate, --learning-rate {plan.learning_rate / 10:g}, or look for one: fledged find-lr",
    )


@contextlib.contextmanager
def memory_told(plan: Plan) -> Iterator[None]:
    """Turn the refusals of allocators into a TrainingError that says what asks for less."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        refused = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not refused:
            raise
        raise TrainingError("Memory ran out", remedy=_less(plan)) from error


def _less(plan: Plan) -> str:
    """What takes less memory, and of a smaller batch how it still learns the same."""
    network = "Train fewer blocks, --unfreeze N, a smaller --backbone, or smaller photos, --set train.input.size_px=…"
    if plan.batch_size == 1:
        return network + "."
    return (
        f"Halve the batch, --batch-size {plan.batch_size // 2}; with --set train.optimize.accumulate="
        f"{plan.optimize.accumulate * 2} a step is as large as it was. {network}."
    )
