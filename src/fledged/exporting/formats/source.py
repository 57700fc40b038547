"""What every format is made from. A format is a module with `convert(source, folder) -> Ask | None`.

It writes its files into the folder, and returns how they are asked in their own runtime: what is compared with the run
is what was written. None where this machine has no such runtime.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from fledged.exporting.compose import OUTPUT, UNKNOWN
from fledged.networks.inference import Knowing


@dataclass(frozen=True, slots=True)
class Source:
    """A run's network in float32, twice."""

    network: Answering
    onnx: bytes  # as the bundle of this run has it in fp32
    size_px: int


class Answering(nn.Module):
    """uint8 photos (N, S, S, 3) to probabilities (N, C) and, where there is a threshold, unknown scores (N,)."""

    def __init__(self, knowing: Knowing) -> None:
        super().__init__()
        self.knowing = knowing.eval().requires_grad_(False)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Their names, in order."""
        return (OUTPUT,) if self.knowing.regions is None else (OUTPUT, UNKNOWN)

    def forward(self, photos_NHWC: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One tensor an output."""
        return tuple(value for value in self.knowing(photos_NHWC) if value is not None)
