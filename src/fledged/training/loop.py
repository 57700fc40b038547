"""The training loop, in view: one generator, on top of accelerate."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from accelerate import Accelerator
from torch import nn

from fledged.config import Record
from fledged.errors import TrainingError
from fledged.training.batches import Batches

StateDict = dict[str, torch.Tensor]

# Of the one-cycle schedule (L. Smith, Super-Convergence, 2018): the share of steps that warm up, and how far below
# the peak it starts and ends.
_WARM_UP = 0.25
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4


class Epoch(Record):
    """A row of history.csv. Training figures are averages over the epoch while the weights moved."""

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float  # of the last step
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast."""

    epochs: int
    batch_size: int
    learning_rate: float  # at the peak
    weight_decay: float
    seed: int
    backbone_rate: float = 0.1  # of the head's learning rate, for the layers before it
    balance: Literal["none", "weights", "sampling"] = "none"
    class_weights: tuple[float, ...] = ()  # of a photo of each class; the best epoch is chosen by them too


@dataclass(slots=True)
class Progress:
    """Where training stands: all that a checkpoint holds."""

    model: StateDict = field(default_factory=dict)
    optimizer: StateDict = field(default_factory=dict)
    best: StateDict = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)

    @property
    def best_epoch(self) -> Epoch:
        """The epoch with the lowest validation loss; ties go to the earlier one."""
        return min(self.history, key=lambda epoch: (epoch.val_loss, epoch.epoch))


def fit(
    model: nn.Module, train: Batches, val: Batches, plan: Plan, so_far: Progress, accelerator: Accelerator
) -> Iterator[Progress]:
    """Yields after each epoch. `model` is trained in place, from `so_far` on (an empty Progress starts anew).

    Raises TrainingError when the loss is no longer a number, or when memory runs out.
    """
    optimizer = torch.optim.AdamW(_groups(model, plan), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    model, optimizer = accelerator.prepare(model, optimizer)
    bare = accelerator.unwrap_model(model)
    weights_C = torch.tensor(plan.class_weights, device=accelerator.device) if plan.balance != "none" else None
    if so_far.history:
        bare.load_state_dict(so_far.model)
        _load_optimizer(optimizer, so_far.optimizer)
    total_steps = plan.epochs * train.per_epoch
    for epoch in range(len(so_far.history) + 1, plan.epochs + 1):
        start_s = time.monotonic()
        torch.manual_seed(plan.seed * 100_003 + epoch)  # dropout; so an epoch can be repeated from a checkpoint
        model.train()
        seen, correct, loss_sum, rate = 0, 0, 0.0, 0.0
        for index, (inputs, labels) in enumerate(train(epoch)):
            if len(labels) == 1 and seen:
                continue  # BatchNorm cannot standardise a single photo; the next epoch's order brings it in
            rate = one_cycle((epoch - 1) * train.per_epoch + index, total_steps) * plan.learning_rate
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            inputs, labels = inputs.to(accelerator.device), labels.to(accelerator.device)
            try:
                logits_NC = model(inputs)
                weight = weights_C if plan.balance == "weights" else None
                loss = nn.functional.cross_entropy(logits_NC, labels, weight=weight)
                accelerator.backward(loss)
            except torch.OutOfMemoryError as error:
                raise TrainingError(
                    "Memory ran out", remedy=f"Halve the batch: --batch-size {len(labels) // 2}"
                ) from error
            optimizer.step()
            optimizer.zero_grad()
            seen += len(labels)
            loss_sum += loss.item() * len(labels)
            correct += int((logits_NC.argmax(1) == labels).sum())
        if not math.isfinite(loss_sum):
            raise TrainingError(
                f"Training diverged in epoch {epoch}: the loss is no longer a number",
                remedy=f"Take a lower rate: --learning-rate {plan.learning_rate / 10:g}",
            )
        val_loss, val_accuracy = _validate(model, val, accelerator, weights_C)
        so_far.history.append(
            Epoch(
                epoch=epoch,
                train_loss=loss_sum / seen,
                train_accuracy=correct / seen,
                val_loss=val_loss,
                val_accuracy=val_accuracy,
                learning_rate=rate,
                seconds=time.monotonic() - start_s,
            )
        )
        so_far.model = {key: tensor.detach().clone() for key, tensor in bare.state_dict().items()}
        so_far.optimizer = _optimizer_state(optimizer)
        if so_far.best_epoch.epoch == epoch:
            so_far.best = so_far.model
        yield so_far


def class_weights(n_photos_C: Sequence[int]) -> tuple[float, ...]:
    """What a photo of each class counts, so that all classes count the same and a photo counts 1 on average."""
    n_classes = sum(n > 0 for n in n_photos_C)
    return tuple(sum(n_photos_C) / (n_classes * n) if n else 0.0 for n in n_photos_C)


def one_cycle(step: int, total_steps: int) -> float:
    """The learning rate of a step as a share of the peak: cosine up, then cosine down."""
    warm_up = max(1, round(total_steps * _WARM_UP))
    if step < warm_up:
        return _cosine(1 / _START_DIVISOR, 1.0, step / warm_up)
    return _cosine(1.0, 1 / _END_DIVISOR, (step - warm_up) / max(1, total_steps - warm_up - 1))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def _groups(model: nn.Module, plan: Plan) -> list[dict[str, object]]:
    """The head at the full rate, what lies before it at a tenth; biases and norms without weight decay."""
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
                share = 1.0 if in_head else plan.backbone_rate
                decay = plan.weight_decay if decays else 0.0
                groups.append({"params": chosen, "share": share, "weight_decay": decay})
    return groups


@torch.inference_mode()
def _validate(
    model: nn.Module, val: Batches, accelerator: Accelerator, weights_C: torch.Tensor | None
) -> tuple[float, float]:
    model.eval()
    seen, correct, loss_sum, weight_sum = 0, 0, 0.0, 0.0
    for inputs, labels in val(1):
        inputs, labels = inputs.to(accelerator.device), labels.to(accelerator.device)
        logits_NC = model(inputs)
        loss_sum += nn.functional.cross_entropy(logits_NC, labels, weight=weights_C, reduction="sum").item()
        weight_sum += len(labels) if weights_C is None else weights_C[labels].sum().item()
        correct += int((logits_NC.argmax(1) == labels).sum())
        seen += len(labels)
    return loss_sum / weight_sum, correct / seen


def _optimizer_state(optimizer: torch.optim.Optimizer) -> StateDict:
    """AdamW's moments and step counts as named tensors, so that they fit into safetensors."""
    states = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value).detach().clone()
        for index, state in states.items()
        for name, value in state.items()
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, flat: StateDict) -> None:
    state_dict = optimizer.state_dict()
    states: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in flat.items():
        index, name = key.split(".", 1)
        states.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict(state_dict | {"state": states})
