"""An exponential moving average of the weights (B. Polyak and A. Juditsky, 1992): less noisy than the last step's."""

from __future__ import annotations

import torch

StateDict = dict[str, torch.Tensor]


def update(average: StateDict, weights: StateDict, decay: float, step: int) -> None:
    """Move the average towards the weights after step `step` (from 0), in place; an empty one becomes a copy of them.

    Early on the decay is lower, (1 + step) / (10 + step), so that the starting weights are soon forgotten. Running
    statistics are averaged too; counts are taken as they are.
    """
    if not average:
        average |= {name: tensor.detach().clone() for name, tensor in weights.items()}
        return
    share = 1 - min(decay, (1 + step) / (10 + step))
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor.detach(), share)
        else:
            average[name].copy_(tensor)
