"""Optimizers move the groups at their rates, and their state goes through named tensors without a change."""

from __future__ import annotations

from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from fledged.fitting import optimizers
from fledged.networks.model import Classifier, Head
from fledged.products import Preprocess
from fledged.settings.training import OptimizeConfig

KINDS: list[dict[str, Any]] = [
    {"optimizer": "adamw"},
    {"optimizer": "sgd", "momentum": 0.0},
    {"optimizer": "sgd"},
    {"optimizer": "sgd_nesterov"},
    {"optimizer": "sgd_nesterov", "momentum": 0.0},
]


def model() -> Classifier:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = Classifier(backbone, Head(4, 3), Preprocess(size_px=32)).to(memory_format=torch.channels_last)
    nn.init.normal_(classifier.head.linear.weight)
    return classifier


def made(classifier: nn.Module, **how: Any) -> torch.optim.Optimizer:
    return optimizers.make(classifier, OptimizeConfig(weight_decay=0.01, **how), 0.1, backbone_rate=0.1)


def move(classifier: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    photos = torch.randint(0, 255, (4, 32, 32, 3), dtype=torch.uint8, generator=random)
    nn.functional.cross_entropy(classifier(photos), torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()


def test_the_head_moves_at_the_full_rate_and_norms_and_biases_do_not_decay() -> None:
    classifier = model()
    optimizer = made(classifier)
    optimizers.set_rate(optimizer, 0.5)
    names = {id(parameter): name for name, parameter in classifier.named_parameters()}
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found == {
        "head.linear.weight": (0.5, 0.01),
        "head.linear.bias": (0.5, 0.0),
        "embed.backbone.0.weight": (0.05, 0.01),
        "embed.backbone.0.bias": (0.05, 0.0),
        "embed.backbone.1.weight": (0.05, 0.0),
        "embed.backbone.1.bias": (0.05, 0.0),
    }


def test_frozen_weights_are_in_no_group() -> None:
    classifier = model()
    classifier.embed.requires_grad_(False)
    assert sum(len(group["params"]) for group in made(classifier).param_groups) == 2


@pytest.mark.parametrize("how", KINDS, ids=lambda how: "-".join(map(str, how.values())))
@pytest.mark.parametrize("n_before", [0, 1, 3])
def test_state_goes_through_safetensors_to_the_last_bit(how: dict[str, Any], n_before: int) -> None:
    """Also before the first step, when there is none, and for SGD without momentum, which never has one."""
    whole, part = model(), model()
    of_whole, of_part = made(whole, **how), made(part, **how)
    for seed in range(n_before):
        move(whole, of_whole, seed)
        move(part, of_part, seed)
    data = safetensors.torch.save({k: v.contiguous() for k, v in optimizers.state_of(of_part).items()})
    resumed = model()
    resumed.load_state_dict(part.state_dict())
    of_resumed = made(resumed, **how)
    optimizers.load_state(of_resumed, safetensors.torch.load(data))
    for seed in range(3, 6):
        move(whole, of_whole, seed)
        move(resumed, of_resumed, seed)
    theirs = whole.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in resumed.state_dict().items())


def test_nesterov_momentum_and_plain_sgd_are_three_things() -> None:
    ends = []
    for how in KINDS[1:4]:
        classifier = model()
        optimizer = made(classifier, **how)
        for seed in range(3):
            move(classifier, optimizer, seed)
        ends.append(classifier.head.linear.weight.detach().clone())
    assert len({tuple(end.flatten().tolist()) for end in ends}) == 3


@pytest.mark.parametrize("mode", ["transfer", "finetune", "scratch"])
def test_every_mode_has_a_usual_rate_for_every_optimizer(mode: str) -> None:
    for name in ("adamw", "sgd", "sgd_nesterov"):
        assert optimizers.usual(mode, name).learning_rate > 0
