"""Averages over the cells of a map, as `nn.AdaptiveAvgPool2d` takes them, in operators that ONNX has at any size."""

from __future__ import annotations

import torch
from torch import nn


class Cells(nn.Module):
    """(N, C, H, W) to (N, C, n, n)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, maps_NCHW: torch.Tensor) -> torch.Tensor:
        """The mean of each cell; cells overlap where they do not divide the map evenly."""
        height, width = (int(side) for side in maps_NCHW.shape[-2:])
        if height % self.n == 0 and width % self.n == 0:
            return nn.functional.adaptive_avg_pool2d(maps_NCHW, self.n)
        rows, columns = (self._shares(side).to(maps_NCHW) for side in (height, width))
        return rows @ maps_NCHW @ columns.T

    def _shares(self, side: int) -> torch.Tensor:
        """(n, side): what each place counts in each cell."""
        shares = torch.zeros(self.n, side)
        for cell in range(self.n):
            first, end = cell * side // self.n, -(-(cell + 1) * side // self.n)
            shares[cell, first:end] = 1 / (end - first)
        return shares
