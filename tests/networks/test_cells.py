"""Cells are torch's, and survive the export at every size."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from fledged.networks import graph
from fledged.networks.cells import Cells


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 14), (8, 8), (32, 20)])
def test_they_are_those_of_torch(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(Cells(7)(maps), torch.nn.AdaptiveAvgPool2d(7)(maps))


@pytest.mark.parametrize("side", [2, 7, 10])
def test_they_are_the_same_in_onnx(side: int) -> None:
    maps = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    session = onnxruntime.InferenceSession(graph.to_onnx(Cells(7), maps, "cells"))
    (made,) = session.run(None, {graph.INPUT: maps.numpy()})
    np.testing.assert_allclose(made, Cells(7)(maps).numpy(), atol=1e-6)
