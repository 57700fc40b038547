"""Which epoch is kept: chosen on one half of the validation photos, judged on the other. Test is not opened.

    python -m benchmarks choosing
    python -m benchmarks.choosing --lakes ants_vs_bees --seeds 42 7

The last 3 blocks of MobileNetV2, 20 epochs of 4 views, each seed a training; the photos are halved at random 200 times.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import results
from benchmarks.augmentation import LAKES, SEEDS
from benchmarks.build import DATA, WEIGHTS
from fledged.fitting import judging
from fledged.fitting.epochs import Epoch, Progress
from fledged.fitting.judging import TEMPERATURES, Judged
from fledged.fitting.loop import fit
from fledged.preparing.prepare import prepare
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.settings.training import TrainConfig
from fledged.training.job import job_of, pupil_of, untrained
from fledged.workspace import Workspace

_CONFIG = TrainConfig(backbone="mobilenet_v2", weights=str(WEIGHTS), unfreeze=3, epochs=20, views=4)
_HALVES = 200

_Choice = Callable[[Sequence["_Epoch"], torch.Tensor, torch.Tensor], int]


def main() -> None:
    """All lakes."""
    measure(list(LAKES), SEEDS)


def measure(lakes: Sequence[str], seeds: Sequence[int]) -> None:
    """A table."""
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return
    rows: list[list[object]] = []
    for lake in lakes:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            scan(DATA / lake, work=work, report=silent)
            review(work=work, report=silent, train={"weights": str(WEIGHTS)})
            prepare(work=work, report=silent, group_by=LAKES[lake])
            rows += [row for seed in seeds for row in _rows(lake, seed, Workspace(work))]
    results.write(
        "Choosing: which epoch of a training is kept",
        "python -m benchmarks choosing",
        ["photos, seed", "chosen by", "accuracy on the other half", "epoch, median", "loss there, at its temperature"],
        rows,
        "The last 3 blocks of MobileNetV2 with the test weights, 20 epochs, 4 views. Means over 200 ways to halve the\n"
        "validation photos; a temperature is found on the half that chooses. n: validation photos.",
    )


@dataclass(frozen=True, slots=True)
class _Epoch:
    rate: float  # the learning rate that it ended with
    logits_NC: torch.Tensor

    def judged(self, own: torch.Tensor, labels_N: torch.Tensor) -> Judged:
        """By these photos alone."""
        return judging.judged(judging.sums(self.logits_NC[own], labels_N[own]))

    def loss(self, own: torch.Tensor, labels_N: torch.Tensor, temperature: float = 1.0) -> float:
        """Mean cross entropy."""
        return nn.functional.cross_entropy(self.logits_NC[own] / temperature, labels_N[own]).item()

    def accuracy(self, own: torch.Tensor, labels_N: torch.Tensor) -> float:
        """The share that is right."""
        return (self.logits_NC[own].argmax(1) == labels_N[own]).double().mean().item()


def _rows(lake: str, seed: int, workspace: Workspace) -> list[list[object]]:
    epochs, labels_N = _answers(seed, workspace)
    random = np.random.default_rng(seed)
    halves = [torch.from_numpy(random.permutation(len(labels_N))).tensor_split(2) for _ in range(_HALVES)]
    rows: list[list[object]] = []
    for name, choice in CHOICES.items():
        found = np.array([_chosen(epochs, labels_N, choice, own, other) for own, other in halves])
        accuracy, number, loss = found[:, 0].mean(), np.median(found[:, 1]), found[:, 2].mean()
        rows.append([f"{lake} (n = {len(labels_N)}), {seed}", name, f"{accuracy:.4f}", f"{number:.0f}", f"{loss:.4f}"])
    return rows


def _answers(seed: int, workspace: Workspace) -> tuple[list[_Epoch], torch.Tensor]:
    """What the validation photos are said to be after each epoch, and what they are."""
    job = job_of(None, _CONFIG.model_copy(update={"seed": seed}), workspace, silent)
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=False)
    epochs, labels_N = [], torch.cat([labels for _, labels in pupil.batches[1](1)])
    for so_far in fit(pupil.module, *pupil.batches, job.plan, Progress(), pupil.accelerator):
        with torch.inference_mode():
            device = pupil.accelerator.device
            logits = [pupil.module.eval()(inputs.to(device)).float().cpu() for inputs, _ in pupil.batches[1](1)]
        epochs.append(_Epoch(so_far.history[-1].learning_rate, torch.cat(logits)))
    return epochs, labels_N


def _chosen(
    epochs: Sequence[_Epoch], labels_N: torch.Tensor, choice: _Choice, own: torch.Tensor, other: torch.Tensor
) -> tuple[float, int, float]:
    number = choice(epochs, own, labels_N)
    chosen = epochs[number]
    temperature = min(TEMPERATURES, key=lambda each: chosen.loss(own, labels_N, each))
    return chosen.accuracy(other, labels_N), number + 1, chosen.loss(other, labels_N, temperature)


def _as_built(epochs: Sequence[_Epoch], own: torch.Tensor, labels_N: torch.Tensor) -> int:
    history = []
    for number, epoch in enumerate(epochs, start=1):
        told = epoch.judged(own, labels_N)
        unasked = {"train_loss": 0.0, "train_accuracy": 0.0, "seconds": 0.0}
        said = {"val_loss": told.loss, "val_loss_error": told.loss_error, "val_accuracy": told.accuracy}
        history.append(Epoch(epoch=number, learning_rate=epoch.rate, **said, **unasked))
    return Progress(history=tuple(history)).best_epoch.epoch - 1


def _lowest(figure: Callable[[_Epoch, torch.Tensor, torch.Tensor], Any]) -> _Choice:
    def choice(epochs: Sequence[_Epoch], own: torch.Tensor, labels_N: torch.Tensor) -> int:
        return min(range(len(epochs)), key=lambda number: figure(epochs[number], own, labels_N))

    return choice


CHOICES: dict[str, _Choice] = {
    "loss, later ones within its error (as built)": _as_built,
    "lowest loss at the best temperature": _lowest(lambda epoch, *photos: epoch.judged(*photos).loss),
    "lowest loss at a temperature of 1": _lowest(_Epoch.loss),
    "accuracy, then loss": _lowest(lambda epoch, *photos: (-epoch.accuracy(*photos), epoch.loss(*photos))),
    "none: the last epoch": lambda epochs, *_: len(epochs) - 1,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakes", nargs="+", choices=list(LAKES), default=list(LAKES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    given = parser.parse_args()
    measure(given.lakes, given.seeds)
