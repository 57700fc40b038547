"""Each augmentation preset: what it does to a head's accuracy on photos that no choice has seen, and what a view costs.

    python -m benchmarks augmentation
    python -m benchmarks.augmentation --only ants_vs_bees --work DIR    # one lake; goes on where it was stopped

A head on the frozen backbone, 4 views of each training photo, 3 splits of each lake; every preset sees the same photos.
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

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from fledged.augmenting import views
from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of
from fledged.fitting.batches import read_split
from fledged.networks import backbones
from fledged.networks.inference import load_classifier
from fledged.networks.weights import locate
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Preprocess
from fledged.progress import silent
from fledged.recipes import PRESETS, Preset
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.training.train import train
from fledged.workspace import Workspace

SEEDS = (1, 2, 3)
N_VIEWS = 4
LAKES = {"ants_vs_bees": "auto", "birds_vs_drones": r"^(.+)\.rf\."}
BASE: Preset = "light"
_TIMED_PHOTOS, _ROUNDS = 100, 3

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one preset on one split: which test photos are right, the log loss, and the validation accuracy."""

    right: BoolArray
    log_loss: float
    val_accuracy: float


def main() -> None:
    """All lakes."""
    measure(list(LAKES), None)


def measure(lakes: Sequence[str], work: Path | None) -> None:
    """Train with every preset on every split, and write a table a lake."""
    if not DATA.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    for lake in lakes:
        with tempfile.TemporaryDirectory() as folder:
            write(lake, _rows(lake, LAKES[lake], work / lake if work else Path(folder)))


def write(lake: str, rows: list[list[object]]) -> None:
    """Put the table of a lake into the results."""
    results.write(
        f"Augmentation: presets, a head on the frozen backbone, {lake}",
        "python -m benchmarks augmentation",
        [
            "preset",
            "val accuracy",
            "test accuracy, mean (each split)",
            "test photos",
            "log loss",
            f"right here alone : with `{BASE}` alone",
            "ms a view",
        ],
        rows,
        f"Mode transfer, {N_VIEWS} views of each training photo (`none`: 1), {len(SEEDS)} seeds, each with a split\n"
        "and a head of its own; the photos of a lake are pooled and split with their groups. Right alone: test photos\n"
        "of all splits on which the two differ. `pad_rotate_cutout` trains and is judged on padded photos, the others\n"
        "on cropped ones. ms a view: one core, a JPEG of 256 px to 224, decoding included, the best of three rounds.\n"
        "The weights are the test MobileNetV2, whose last blocks were fine-tuned on dogs.",
    )


def _rows(lake: str, group_by: str, work: Path) -> list[list[object]]:
    scan(DATA / lake, work=work, report=silent)
    review(work=work, report=silent, train={"weights": str(WEIGHTS)})
    datasets = [prepare(work=work, report=silent, seed=seed, group_by=group_by) for seed in SEEDS]
    n_test = [dataset.n_in("test") for dataset in datasets]
    outcomes = {
        preset: [_outcome(dataset, seed, preset, work) for dataset, seed in zip(datasets, SEEDS, strict=True)]
        for preset in PRESETS
    }
    base_right = np.concatenate([outcome.right for outcome in outcomes[BASE]])
    rows: list[list[object]] = []
    for preset, of_preset in outcomes.items():
        right = np.concatenate([outcome.right for outcome in of_preset])
        shares = [float(outcome.right.mean()) for outcome in of_preset]
        rows.append(
            [
                f"`{preset}`",
                f"{statistics.mean(outcome.val_accuracy for outcome in of_preset):.4f}",
                f"{statistics.mean(shares):.4f} ({', '.join(f'{share:.4f}' for share in shares)})",
                " + ".join(map(str, n_test)),
                f"{statistics.mean(outcome.log_loss for outcome in of_preset):.4f}",
                "" if preset == BASE else f"{(right & ~base_right).sum()} : {(base_right & ~right).sum()}",
                f"{_ms_a_view(datasets[0], preset):.1f}",
            ]
        )
        print(rows[-1], flush=True)
    return rows


def _outcome(dataset: Dataset, seed: int, preset: Preset, work: Path) -> Outcome:
    # Where the preset pads, serving pads too: training and serving must not differ.
    resize = "pad" if preset.startswith("pad_") else "crop"
    settings: dict[str, Any] = {"weights": str(WEIGHTS), "seed": seed, "input": {"resize": resize}, "augment": preset}
    run = train(dataset, work=work, report=silent, views=N_VIEWS, **settings)
    backbone = backbones.build(locate(run.settings))
    workspace = Workspace(work)
    embedding = embedding_of(backbone.name, backbone.module, run.preprocess, workspace)
    test = read_split(dataset, "test")
    features_NF = torch.from_numpy(features_of(test, embedding, 0, workspace, silent))
    labels_N = test["label"].to_torch()
    with torch.inference_mode():
        logits_NC = load_classifier(run).head(features_NF)
        log_loss = float(torch.nn.functional.cross_entropy(logits_NC, labels_N))
    return Outcome((logits_NC.argmax(1) == labels_N).numpy(), log_loss, run.val_accuracy)


def _ms_a_view(dataset: Dataset, preset: Preset) -> float:
    rows = read_split(dataset, "train").head(_TIMED_PHOTOS)["jpeg"].to_list()
    views.alone()
    rounds = []
    for _ in range(_ROUNDS):
        start_s = time.perf_counter()
        for number, jpeg in enumerate(rows, start=1):
            views.view(jpeg, Preprocess(), number, PRESETS[preset])
        rounds.append((time.perf_counter() - start_s) / len(rows))
    return 1000 * min(rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(LAKES), help="one lake")
    parser.add_argument("--work", type=Path, help="keep the working folders here, and go on from them")
    given = parser.parse_args()
    measure([given.only] if given.only else list(LAKES), given.work)
