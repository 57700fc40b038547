"""Spatial pyramid pooling against average pooling: what a head on the frozen backbone gains by it, and what it costs.

    python -m benchmarks pooling
    python -m benchmarks.pooling --only ants_vs_bees --work DIR    # one lake; goes on where it was stopped

The pyramid is that of K. He et al., "Spatial pyramid pooling in deep convolutional networks", 2014: the feature map is
pooled over 1 x 1, 2 x 2 (and 4 x 4) cells, whose results are put one after the other. Same photos, same splits.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks import results
from benchmarks.augmentation import LAKES, SEEDS
from benchmarks.build import DATA, WEIGHTS
from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of
from fledged.fitting import precision
from fledged.fitting.batches import read_split
from fledged.fitting.epochs import Progress
from fledged.fitting.loop import fit
from fledged.networks import backbones
from fledged.networks.blocks import chain
from fledged.networks.model import Head
from fledged.networks.weights import locate
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Preprocess
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.settings.training import TrainConfig
from fledged.training.concrete import plan_of
from fledged.training.transfer import feature_batches
from fledged.workspace import Workspace

# Cells of a side, and how the values of a cell become one.
POOLINGS = {
    "average, 1 (as built)": ("mean", (1,)),
    "max, 1": ("max", (1,)),
    "average, 1 + 2": ("mean", (1, 2)),
    "max, 1 + 2": ("max", (1, 2)),
    "max, 1 + 2 + 4": ("max", (1, 2, 4)),
}
BASE = "average, 1 (as built)"
_CONFIG = TrainConfig(backbone="mobilenet_v2", weights=str(WEIGHTS), views=1)

BoolArray = npt.NDArray[np.bool_]


class Pyramid(nn.Module):
    """Feature maps (N, F, H, W) to (N, F x cells); cells overlap where a side cannot be divided."""

    def __init__(self, how: str, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.how = how
        self.levels = levels

    def forward(self, maps_NFHW: torch.Tensor) -> torch.Tensor:
        """Every level's cells, row by row."""
        height, width = int(maps_NFHW.shape[2]), int(maps_NFHW.shape[3])
        cells = [
            maps_NFHW[:, :, i * height // n : -(-(i + 1) * height // n), j * width // n : -(-(j + 1) * width // n)]
            for n in self.levels
            for i in range(n)
            for j in range(n)
        ]
        pooled = [cell.mean((2, 3)) if self.how == "mean" else cell.amax((2, 3)) for cell in cells]
        return torch.cat(pooled, 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one pooling on one split: which test photos are right, the validation accuracy, the seconds of the head."""

    right: BoolArray
    val_accuracy: float
    head_s: float
    megabytes: float  # of the head


def main() -> None:
    """All lakes."""
    measure(list(LAKES), None)


def measure(lakes: Sequence[str], work: Path | None) -> None:
    """A head on every pooling of every split, and a table a lake."""
    if not DATA.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    for lake in lakes:
        with tempfile.TemporaryDirectory() as folder:
            rows = _rows(lake, LAKES[lake], work / lake if work else Path(folder))
        results.write(
            f"Pooling: a pyramid against the average, a head on the frozen backbone, {lake}",
            "python -m benchmarks pooling",
            [
                "pooling",
                "val accuracy",
                "test accuracy, mean (each split)",
                "right here alone : with the average alone",
                "MB of the head",
                "s to train it",
            ],
            rows,
            f"mobilenet_v2 (the test weights), 224 px, one view a photo, {len(SEEDS)} seeds, each with a split and a\n"
            "head of its own. Right alone: test photos of all splits on which the two differ.",
        )


def _rows(lake: str, group_by: str, work: Path) -> list[list[object]]:
    scan(DATA / lake, work=work, report=silent)
    review(work=work, report=silent, train={"weights": str(WEIGHTS)})
    datasets = [prepare(work=work, report=silent, seed=seed, group_by=group_by) for seed in SEEDS]
    outcomes = {
        name: [_outcome(dataset, seed, *how, work) for dataset, seed in zip(datasets, SEEDS, strict=True)]
        for name, how in POOLINGS.items()
    }
    base_right = np.concatenate([outcome.right for outcome in outcomes[BASE]])
    rows: list[list[object]] = []
    for name, of_pooling in outcomes.items():
        right = np.concatenate([outcome.right for outcome in of_pooling])
        shares = [float(outcome.right.mean()) for outcome in of_pooling]
        rows.append(
            [
                name,
                f"{statistics.mean(outcome.val_accuracy for outcome in of_pooling):.4f}",
                f"{statistics.mean(shares):.4f} ({', '.join(f'{share:.4f}' for share in shares)})",
                "" if name == BASE else f"{(right & ~base_right).sum()} : {(base_right & ~right).sum()}",
                f"{of_pooling[0].megabytes:.2f}",
                f"{statistics.median(outcome.head_s for outcome in of_pooling):.1f}",
            ]
        )
    return rows


def _outcome(dataset: Dataset, seed: int, how: str, levels: tuple[int, ...], work: Path) -> Outcome:
    workspace = Workspace(work)
    backbone = backbones.build(locate(_CONFIG))
    *blocks, last = chain(backbone.name, backbone.module)
    assert isinstance(last, nn.Sequential)
    maps = nn.Sequential(*blocks, last[0])
    settings: dict[str, Any] = {"seed": seed, "augment": _CONFIG.augment.resolved()}
    config = _CONFIG.model_copy(update=settings)
    embedding = embedding_of(
        f"mobilenet_v2 {how} {levels}", nn.Sequential(maps, Pyramid(how, levels)).eval(), Preprocess(), workspace
    )
    plan = plan_of(config, dataset)
    train, val = feature_batches(dataset, embedding, plan, config, workspace, silent)
    head = Head(train.features_KNF.shape[2], len(dataset.classes))
    head.standardise_by(train.features_KNF[0])
    start_s = time.perf_counter()
    for so_far in fit(head, train, val, plan, Progress(), precision.accelerator("fp32", on_cpu=True)):
        best = so_far
    head_s = time.perf_counter() - start_s
    head.load_state_dict(best.best)
    test = read_split(dataset, "test")
    features_NF = torch.from_numpy(features_of(test, embedding, 0, workspace, silent))
    with torch.inference_mode():
        right = (head.eval()(features_NF).argmax(1) == test["label"].to_torch()).numpy()
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in head.state_dict().values())
    return Outcome(right, max(epoch.val_accuracy for epoch in best.history), head_s, n_bytes / 1e6)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(LAKES), help="one lake")
    parser.add_argument("--work", type=Path, help="keep the working folders here, and go on from them")
    given = parser.parse_args()
    measure([given.only] if given.only else list(LAKES), given.work)
