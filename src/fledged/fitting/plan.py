"""How long and how fast a network is trained, with nothing left to be decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fledged.products import Split
from fledged.settings.training import LossConfig, OptimizeConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast; nothing in it is "auto", 0 or -1 for what is usual."""

    epochs: int
    batch_size: int
    learning_rate: float  # at the peak
    seed: int
    backbone_rate: float = 0.1  # of the head's learning rate, for the layers before it
    balance: Literal["none", "weights", "sampling"] = "none"
    class_weights: tuple[float, ...] = ()  # of a photo of each class; the best epoch is chosen by them too
    optimize: OptimizeConfig = field(default_factory=lambda: OptimizeConfig(weight_decay=0, precision="fp32"))
    loss: LossConfig = field(default_factory=LossConfig)
    keeps_statistics: bool = False  # of BatchNorm, in layers that are trained
    judged_on: Split = "val"  # what chooses the best epoch; a learning-rate range test may not see val


def class_weights(n_photos_C: Sequence[int]) -> tuple[float, ...]:
    """What a photo of each class counts, so that all classes count the same and a photo counts 1 on average."""
    n_classes = sum(n > 0 for n in n_photos_C)
    return tuple(sum(n_photos_C) / (n_classes * n) if n else 0.0 for n in n_photos_C)
