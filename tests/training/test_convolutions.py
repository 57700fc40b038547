"""Convolutions in bf16: another way, the same gradients; and in fp32 nothing changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fledged.training import precision
from fledged.training.convolutions import quick

LAYERS = {
    "pointwise, fewer outputs": nn.Conv2d(48, 8, 1),
    "pointwise, more outputs": nn.Conv2d(8, 48, 1, bias=False),
    "pointwise with a stride": nn.Conv2d(8, 16, 1, stride=2),
    "depthwise": nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
    "grouped": nn.Conv2d(16, 32, 3, stride=2, groups=4),
    "padded by name": nn.Conv2d(8, 8, 1, padding="same"),
    "usual": nn.Conv2d(3, 8, 3, padding=1),
}


def learned(layer: nn.Conv2d, how: precision.Precision, *, is_quick: bool) -> list[torch.Tensor]:
    """The answer, and the gradients of its mean square by the input and the parameters."""
    accelerator = precision.accelerator(how, on_cpu=True)
    generator = torch.Generator().manual_seed(7)
    photos = torch.randn(4, layer.in_channels, 9, 9, generator=generator).to(memory_format=torch.channels_last)
    photos.requires_grad_()
    with accelerator.autocast():
        if is_quick:
            with quick(accelerator):
                answer = layer(photos)
        else:
            answer = layer(photos)
    return [answer, *torch.autograd.grad(answer.float().square().mean(), [photos, *layer.parameters()])]


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_the_convolution(name: str) -> None:
    exact = learned(LAYERS[name], "fp32", is_quick=False)
    for ours, truth in zip(learned(LAYERS[name], "bf16", is_quick=True), exact, strict=True):
        assert ours.shape == truth.shape
        apart = torch.linalg.vector_norm(ours.float() - truth) / torch.linalg.vector_norm(truth)
        assert apart < 0.01  # bf16 has 8 bits: each number is off by up to 0.004


@pytest.mark.parametrize("name", LAYERS)
def test_in_fp32_it_is_the_convolution_itself(name: str) -> None:
    pairs = zip(
        learned(LAYERS[name], "fp32", is_quick=True), learned(LAYERS[name], "fp32", is_quick=False), strict=True
    )
    assert all(torch.equal(ours, usual) for ours, usual in pairs)


def test_what_is_slow_in_bf16_is_done_otherwise() -> None:
    pointwise, depthwise = (
        learned(LAYERS[name], "bf16", is_quick=True)[0] for name in ("pointwise, fewer outputs", "depthwise")
    )
    assert pointwise.dtype == torch.bfloat16
    assert pointwise.grad_fn is not None
    assert "Permute" in pointwise.grad_fn.name()  # of a matrix product's answer
    assert depthwise.dtype == torch.float32
