"""Run by torchrun, in two processes: small networks trained in parts, and by the first process alone, side by side."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fledged.errors import FledgedError, ProductError
from fledged.fitting.batches import FeatureBatches, Part
from fledged.fitting.epochs import Progress
from fledged.fitting.loop import fit
from fledged.fitting.plan import Plan
from fledged.fitting.precision import accelerator
from fledged.fitting.processes import Group, joined
from fledged.settings.training import LossConfig, OptimizeConfig

N = 41  # photos: in batches of 8 one is left over, which only one of two processes can take
PLAN = Plan(
    epochs=3,
    batch_size=8,
    learning_rate=0.02,
    seed=3,
    class_weights=(0.5, 1.0, 1.5),
    optimize=OptimizeConfig(optimizer="sgd", weight_decay=0.01, precision="fp32", schedule="cosine"),
)


class Net(nn.Module):
    """A convolution, BatchNorm, dropout and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.dropout, self.linear = nn.Dropout(0.3), nn.Linear(16, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (N, 3) of inputs (N, 16)."""
        found = self.norm(self.conv(inputs.view(-1, 1, 4, 4))).relu()
        logits: torch.Tensor = self.linear(self.dropout(found.flatten(1)))
        return logits


def planned(optimize: dict[str, Any] | None = None, loss: dict[str, Any] | None = None, **how: Any) -> Plan:
    settings = PLAN.optimize.model_copy(update=optimize or {})
    return replace(PLAN, optimize=settings, loss=LossConfig(**(loss or {})), **how)


CASES: dict[str, Plan] = {
    "batch norm that learns its statistics": planned(),
    "statistics that are kept": planned(keeps_statistics=True, batch_size=20),
    "batches of one photo": planned(keeps_statistics=True, batch_size=1, epochs=1),
    "mixup and class weights": planned(loss={"mixup": 0.4}, balance="weights"),
    "sampling, smoothing, focal": planned(loss={"label_smoothing": 0.1, "focal_gamma": 1.0}, balance="sampling"),
    "accumulated, clipped, l1": planned({"accumulate": 3, "clip_norm": 0.5, "l1": 0.01}, batch_size=4),
    "an average of the weights": planned({"ema_decay": 0.9, "optimizer": "sgd_nesterov"}),
    "plateau and patience": planned({"schedule": "plateau", "patience": 2}, epochs=8, learning_rate=0.5),
}


def trained(plan: Plan, part: Part) -> Progress:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(N) % 3
    features = torch.randn(2, N, 16, generator=random) + 2 * nn.functional.one_hot(labels, 16)
    balanced = plan.balance == "sampling"
    train = FeatureBatches(
        features, labels, plan.batch_size, 3, True, balanced, replace(part, reads_all=plan.loss.mixes)
    )
    judge = FeatureBatches(features[:1, :21], labels[:21], 10, 3, False, part=part)
    *_, progress = fit(Net(), train, judge, plan, Progress(), accelerator("fp32", on_cpu=True))
    return progress


def difference(one: Progress, other: Progress) -> dict[str, float]:
    losses = [
        max(abs(a.train_loss - b.train_loss), abs(a.val_loss - b.val_loss), abs(a.train_accuracy - b.train_accuracy))
        for a, b in zip(one.history, other.history, strict=True)
    ]
    weights = [float((one.model[name].float() - other.model[name].float()).abs().max()) for name in one.model]
    steps = float((one.steps - other.steps).abs().max())
    moved = float((one.model["linear.weight"] - Net().linear.weight.detach()).abs().max())
    return {"losses": max(losses), "weights": max(weights), "steps": steps, "moved": moved}


def told(group: Group) -> str:
    """What becomes of an error that only the first process meets."""

    def refuse() -> str:
        raise ProductError("There is nothing", where="here", remedy="Look elsewhere.")

    try:
        group.from_first(refuse)
    except FledgedError as error:
        return f"{type(error).__name__} {error.is_told} {error}"
    return "nothing"


def main(folder: Path) -> None:
    with joined() as group:
        found = {name: trained(plan, Part(group.rank, group.size)) for name, plan in CASES.items()}
        error = told(group)
        alike = {
            name: [e.model_dump(exclude={"seconds"}) for e in progress.history] for name, progress in found.items()
        }
        answer: dict[str, Any] = {"histories": alike, "error": error, "rank": group.rank, "size": group.size}
        if group.is_first:
            answer["differences"] = {
                name: difference(trained(plan, Part()), found[name]) for name, plan in CASES.items()
            }
        group.wait()
        (folder / f"{group.rank}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
