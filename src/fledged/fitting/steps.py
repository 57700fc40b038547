"""What each step of the optimizer saw: rows that a training keeps as one tensor, and a table of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import torch

from fledged.fitting.losses import Tally

_COLUMNS = ("epoch", "loss", "learning_rate")

NO_STEPS = torch.zeros(0, len(_COLUMNS))  # the rows before the first step


def steps_of(epoch: int, taken: Sequence[tuple[Sequence[Tally], float]]) -> torch.Tensor:
    """A float32 row a step, (S, 3): epoch, plain cross entropy of its photos before it, learning rate of the head.

    `taken` are the batches of each step, and its rate. The whole epoch waits for the device once.
    """
    losses = torch.stack(
        [torch.stack([t.loss for t in of]).sum() / torch.stack([t.weight for t in of]).sum() for of, _ in taken]
    )
    rates = torch.tensor([rate for _, rate in taken])
    return torch.stack([torch.full_like(rates, epoch), losses.float().cpu(), rates], 1)


def as_table(steps: torch.Tensor) -> pl.DataFrame:
    """A row a step: step (from 1), epoch, loss, learning_rate."""
    table = pl.DataFrame(steps.numpy(), schema=dict.fromkeys(_COLUMNS, pl.Float32))
    return table.with_columns(pl.col("epoch").cast(pl.Int64)).with_row_index("step", 1)
