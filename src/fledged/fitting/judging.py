"""How weights are judged after an epoch: by how often they are right, and by the loss at the temperature they need.

A network that has learned its training photos by heart goes on to become better and surer at once. At a temperature
of 1 the loss tells of the second alone, and would choose an early epoch; the run is given its temperature anyway.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn

# What logits are divided by, to find how sure they should be: from a quarter to sixteen, a fifth apart.
TEMPERATURES = tuple(2 ** (step / 4) for step in range(-8, 17))


class Judged(NamedTuple):
    """What photos say of the weights."""

    loss: float  # mean cross entropy, every photo times its class's weight, at the temperature at which it is lowest
    loss_error: float  # its standard error
    accuracy: float


def sums(logits_NC: torch.Tensor, labels_N: torch.Tensor, weights_C: torch.Tensor | None = None) -> torch.Tensor:
    """What `judged` needs of these photos (7, T), float64, at each of `TEMPERATURES`; those of all photos add up."""
    losses_TN = torch.stack(
        [nn.functional.cross_entropy(logits_NC / heat, labels_N, reduction="none") for heat in TEMPERATURES]
    ).double()
    one_N = torch.ones(len(labels_N), dtype=torch.float64, device=logits_NC.device)
    weight_N = one_N if weights_C is None else weights_C[labels_N].double()
    right_N = (logits_NC.argmax(1) == labels_N).double()
    of_photos = torch.stack([one_N, right_N, weight_N, weight_N**2])
    of_losses = torch.stack([weight_N * losses_TN, weight_N**2 * losses_TN, (weight_N * losses_TN) ** 2])
    return torch.cat([of_photos.sum(1)[:, None].expand(-1, len(TEMPERATURES)), of_losses.sum(2)])


def judged(sums_7T: torch.Tensor) -> Judged:
    """Of all photos' sums. The error is that of a ratio of means, by its first terms."""
    n, right, weight, of_squares, loss, squared, squares = sums_7T[:, sums_7T[4].argmin()].tolist()
    if not weight:  # of classes alone that training has no photo of, where classes have weights
        return Judged(math.nan, math.nan, right / n)
    mean = loss / weight
    variance = max(0.0, squares - 2 * mean * squared + mean**2 * of_squares) * n / max(1.0, n - 1)
    return Judged(mean, math.sqrt(variance) / weight, right / n)
