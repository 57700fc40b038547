"""How a step is made of gradients, and how an optimizer's state becomes named tensors and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from fledged.settings.training import OptimizeConfig

StateDict = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Usual:
    """What 0 and -1 in the settings stand for."""

    learning_rate: float  # at the peak
    weight_decay: float


def usual(mode: str, optimizer: str) -> Usual:
    """Of a mode (transfer, finetune, scratch) with an optimizer.

    AdamW takes its decay from the weights, SGD adds it to the gradients: their numbers are not on one scale.
    """
    if optimizer == "adamw":
        return {"transfer": Usual(1e-3, 0.1), "finetune": Usual(1e-3, 0.05), "scratch": Usual(2e-3, 0.05)}[mode]
    return {"transfer": Usual(0.01, 1e-3), "finetune": Usual(0.01, 1e-4), "scratch": Usual(0.05, 5e-4)}[mode]


def make(
    model: nn.Module, settings: OptimizeConfig, learning_rate: float, backbone_rate: float
) -> torch.optim.Optimizer:
    """AdamW (I. Loshchilov and F. Hutter, 2019), or SGD with momentum, Nesterov's or not, over the parameter groups."""
    groups = parameter_groups(model, settings.weight_decay, backbone_rate)
    # Fused: one pass over the weights, in a quarter of AdamW's time and less than half of SGD's.
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate, fused=True)
    # Without momentum there is nothing that Nesterov could look ahead along, and torch refuses it.
    nesterov = settings.optimizer == "sgd_nesterov" and settings.momentum > 0
    return torch.optim.SGD(groups, lr=learning_rate, momentum=settings.momentum, nesterov=nesterov, fused=True)


def parameter_groups(model: nn.Module, weight_decay: float, backbone_rate: float) -> list[dict[str, object]]:
    """The head at the full rate, what lies before it at `backbone_rate` of it; biases and norms without decay."""
    groups: list[dict[str, object]] = []
    for in_head in (True, False):
        for decays in (True, False):
            chosen = [
                parameter
                for name, parameter in model.named_parameters()
                if parameter.requires_grad
                and name.startswith("embed.") is not in_head
                and (parameter.ndim > 1) is decays
            ]
            if chosen:
                share = 1.0 if in_head else backbone_rate
                groups.append({"params": chosen, "share": share, "weight_decay": weight_decay if decays else 0.0})
    return groups


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the head; each group takes its share."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def state_of(optimizer: torch.optim.Optimizer) -> StateDict:
    """Moments, momenta and step counts as named tensors, which fit into safetensors; what is None is left out."""
    states = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value).detach().clone()
        for index, state in states.items()
        for name, value in state.items()
        if value is not None
    }


def load_state(optimizer: torch.optim.Optimizer, flat: StateDict) -> None:
    """Put back what `state_of` gave."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states: dict[int, StateDict] = {}
    for key, tensor in flat.items():
        index, name = key.split(".", 1)
        like = parameters[int(index)]
        # In the parameter's own memory format: where that differs, other instructions compute other last bits.
        same = torch.empty_like(like, dtype=tensor.dtype).copy_(tensor) if tensor.shape == like.shape else tensor
        states.setdefault(int(index), {})[name] = same
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
