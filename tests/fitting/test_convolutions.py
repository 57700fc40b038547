"""Convolutions laid out for quick gradients: another way, the same answers and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import nn

from fledged.fitting import precision
from fledged.fitting.convolutions import quick
from fledged.networks.model import to_training

LAYERS = {
    "pointwise, fewer outputs": nn.Conv2d(48, 8, 1),
    "pointwise, more outputs": nn.Conv2d(8, 48, 1, bias=False),
    "pointwise with a stride": nn.Conv2d(8, 16, 1, stride=2),
    "depthwise": nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
    "grouped": nn.Conv2d(16, 32, 3, stride=2, groups=4),
    "padded by name": nn.Conv2d(8, 8, 1, padding="same"),
    "usual": nn.Conv2d(3, 8, 3, padding=1),
}


class Beside(nn.Module):
    """A convolution whose answer goes past BatchNorm as well."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        answer = self.conv(photos)
        return self.norm(answer) + answer  # type: ignore[no-any-return]


def inverted_residual() -> nn.Module:
    """As MobileNetV2 has them, with statistics and factors as after some training."""
    torch.manual_seed(5)
    layers = nn.Sequential(
        nn.Conv2d(4, 24, 1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU6(inplace=True),
        nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False),
        nn.BatchNorm2d(24),
        nn.Hardtanh(-0.5, 2.0, inplace=True),
        nn.Conv2d(24, 8, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
    )
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5)
    return layers


def learned(model: nn.Module, n_channels: int, how: precision.Precision, *, is_quick: bool) -> list[torch.Tensor]:
    """The answer, and the gradients of its mean square by the input and the parameters."""
    accelerator = precision.accelerator(how, on_cpu=True)
    generator = torch.Generator().manual_seed(7)
    photos = torch.randn(4, n_channels, 9, 9, generator=generator).to(memory_format=torch.channels_last)
    photos.requires_grad_()
    with accelerator.autocast():
        if is_quick:
            with quick(model, photos, accelerator):
                answer = model(photos)
        else:
            answer = model(photos)
    return [answer, *torch.autograd.grad(answer.float().square().mean(), [photos, *model.parameters()])]


def apart(ours: torch.Tensor, truth: torch.Tensor) -> float:
    """The norm of the difference, as a share of the norm."""
    assert ours.shape == truth.shape
    ours, truth = ours.detach().float(), truth.detach()
    return float(torch.linalg.vector_norm(ours - truth) / torch.linalg.vector_norm(truth))


def names(answer: torch.Tensor) -> set[str]:
    """Of the functions by which it came about."""
    found, left = set(), [answer.grad_fn]
    while left:
        node = left.pop()
        if node is not None:
            found.add(node.name().removesuffix("0"))
            left += [before for before, _ in node.next_functions]
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_the_convolution(name: str) -> None:
    layer = LAYERS[name]
    exact = learned(layer, layer.in_channels, "fp32", is_quick=False)
    for ours, truth in zip(learned(layer, layer.in_channels, "bf16", is_quick=True), exact, strict=True):
        assert apart(ours, truth) < 0.01  # bf16 has 8 bits: each number is off by up to 0.004


@pytest.mark.parametrize("name", LAYERS)
def test_in_fp32_a_convolution_is_itself(name: str) -> None:
    layer = LAYERS[name]
    ways = [learned(layer, layer.in_channels, "fp32", is_quick=is_quick) for is_quick in (True, False)]
    assert all(torch.equal(ours, usual) for ours, usual in zip(*ways, strict=True))


def test_what_is_slow_in_bf16_is_done_otherwise() -> None:
    pointwise, depthwise = (
        learned(LAYERS[name], LAYERS[name].in_channels, "bf16", is_quick=True)[0]
        for name in ("pointwise, fewer outputs", "depthwise")
    )
    assert pointwise.dtype == torch.bfloat16
    assert pointwise.grad_fn is not None
    assert "Permute" in pointwise.grad_fn.name()  # of a matrix product's answer
    assert depthwise.dtype == torch.float32


@pytest.mark.parametrize(("how", "most"), [("fp32", 1e-5), ("bf16", 0.02)])
def test_frozen_statistics_become_part_of_the_convolution(how: precision.Precision, most: float) -> None:
    model = inverted_residual()
    to_training(model, keeps_statistics=True)
    exact = learned(model, 4, "fp32", is_quick=False)
    ours = learned(model, 4, how, is_quick=True)
    assert "NativeBatchNormBackward" in names(exact[0])
    assert "NativeBatchNormBackward" not in names(ours[0])
    assert not any("Slices" in name or "AsStrided" in name for name in names(ours[0]))  # in place on a view: a copy
    for our, truth in zip(ours, exact, strict=True):
        assert apart(our, truth) < most


def test_statistics_that_move_stay_batchnorms() -> None:
    ways = []
    for is_quick in (True, False):
        model = inverted_residual().train()
        ways.append([*learned(model, 4, "fp32", is_quick=is_quick), *(tensor.float() for tensor in model.buffers())])
    assert all(torch.equal(ours, usual) for ours, usual in zip(*ways, strict=True))


def test_what_goes_elsewhere_too_is_left_as_it_is() -> None:
    model = Beside()
    to_training(model, keeps_statistics=True)
    ways = [learned(model, 4, "fp32", is_quick=is_quick) for is_quick in (True, False)]
    assert all(torch.equal(ours, usual) for ours, usual in zip(*ways, strict=True))
    assert "NativeBatchNormBackward" in names(ways[0][0])


@pytest.mark.parametrize(
    "build",
    [
        torchvision.models.mobilenet_v2,
        torchvision.models.resnet18,
        lambda: timm.create_model("tf_efficientnet_lite0"),
    ],
    ids=["mobilenet_v2", "resnet18", "efficientnet_lite0"],
)
def test_backbones_lose_all_of_them_and_nothing_else_changes(build: Callable[[], nn.Module]) -> None:
    model = build()
    to_training(model, keeps_statistics=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    photos = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    random = torch.get_rng_state()
    with quick(model, photos, precision.accelerator("fp32", on_cpu=True)):
        pass
    assert torch.equal(torch.get_rng_state(), random)
    with quick(model, photos, precision.accelerator("fp32", on_cpu=True)):
        answer = model(photos)
    assert "NativeBatchNormBackward" not in names(answer)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
