"""What an epoch brought, where training stands after it, and which epoch is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from fledged.fitting.steps import NO_STEPS
from fledged.records import Record

StateDict = dict[str, torch.Tensor]


class Epoch(Record):
    """A row of history.csv. Training figures are averages over the epoch while the weights moved.

    Both losses are cross entropy, whatever is made small; `losses.Tally` says what that of training means for mixed
    photos, and `validate` that of validation is at the temperature at which it is lowest.
    """

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_loss_error: float = 0.0  # its standard error; records of earlier versions have none
    val_accuracy: float
    learning_rate: float  # of the last step
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands after an epoch: all that a checkpoint holds. Its tensors are never changed."""

    model: StateDict = field(default_factory=dict)
    optimizer: StateDict = field(default_factory=dict)
    average: StateDict = field(default_factory=dict)  # of the weights; empty unless it is asked for
    best: StateDict = field(default_factory=dict)
    history: tuple[Epoch, ...] = ()
    steps: torch.Tensor = NO_STEPS  # (S, 3), as `steps.steps_of` makes them

    @property
    def best_epoch(self) -> Epoch:
        """The one with the lowest validation loss, or a later one that chance does not tell from it, at a lower rate.

        It is the last such epoch: with a loss above the lowest by no more than the standard error of that, at a rate
        that has only fallen meanwhile. The lowest of many is partly luck, and at lower rates the weights come to rest.
        L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3: the rule of one standard error.
        """
        lowest = kept = min(self.history, key=lambda epoch: epoch.val_loss)
        rate = lowest.learning_rate
        for epoch in self.history[lowest.epoch :]:
            rate = min(rate, epoch.learning_rate)
            is_slower = epoch.learning_rate == rate < lowest.learning_rate
            if is_slower and epoch.val_loss <= lowest.val_loss + lowest.val_loss_error:
                kept = epoch
        return kept

    @property
    def val_losses(self) -> list[float]:
        """Of each epoch."""
        return [epoch.val_loss for epoch in self.history]
