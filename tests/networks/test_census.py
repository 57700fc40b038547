"""The size of a network: blocks, what was trained of them, and the work of a photo."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fledged.networks.census import _flops, size_of
from fledged.networks.inference import load_classifier
from fledged.networks.model import Classifier, Head
from fledged.products import Preprocess, Run


class Looking(nn.Module):
    """A backbone whose way depends on what it sees, which has no answer on the meta device."""

    def forward(self, batch_NCHW: torch.Tensor) -> torch.Tensor:
        return batch_NCHW.mean((2, 3)) + float(batch_NCHW.sum() > 0)


def test_every_parameter_is_counted_once(run: Run) -> None:
    size = size_of(run)
    model = load_classifier(run)
    assert size.n_parameters == sum(parameter.numel() for parameter in model.parameters())
    assert size.n_trained == sum(parameter.numel() for parameter in model.head.parameters())
    assert size.blocks[-1].block == "head"
    assert size_of(run, model) == size


@pytest.mark.parametrize("backbone", [nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), Looking()])
def test_a_multiplication_and_an_addition_are_two(backbone: nn.Module) -> None:
    model = Classifier(backbone, Head(3, 5), Preprocess(size_px=32))
    assert _flops(model, 32) == 2 * 3 * 5
