"""Which epoch is kept: chosen on one half of the validation photos, judged on the other. Test is not opened.

    python -m benchmarks choosing
    python -m benchmarks.choosing --lakes ants_vs_bees --seeds 42 7

The last 3 blocks of MobileNetV2, 20 epochs of 4 views, each seed a training; the photos are halved at random 200 times.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax

from benchmarks import results
from benchmarks.augmentation import LAKES, SEEDS
from benchmarks.build import DATA, WEIGHTS
from fledged.fitting.loop import Progress, fit
from fledged.fitting.losses import TEMPERATURES
from fledged.preparing.prepare import prepare
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.settings.training import TrainConfig
from fledged.training.job import job_of, pupil_of, untrained
from fledged.workspace import Workspace

_CONFIG = TrainConfig(backbone="mobilenet_v2", weights=str(WEIGHTS), unfreeze=3, epochs=20, views=4)
_HALVES = 200

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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


def _rows(lake: str, seed: int, workspace: Workspace) -> list[list[object]]:
    epochs, labels_N = _answers(seed, workspace)
    random = np.random.default_rng(seed)
    halves = [np.array_split(random.permutation(len(labels_N)), 2) for _ in range(_HALVES)]
    rows: list[list[object]] = []
    for name, choice in CHOICES.items():
        found = np.array([_judged(epochs, labels_N, choice, own, other) for own, other in halves])
        accuracy, number, loss = found[:, 0].mean(), np.median(found[:, 1]), found[:, 2].mean()
        rows.append([f"{lake} (n = {len(labels_N)}), {seed}", name, f"{accuracy:.4f}", f"{number:.0f}", f"{loss:.4f}"])
    return rows


def _answers(seed: int, workspace: Workspace) -> tuple[list[FloatArray], IntArray]:
    """Logits (N, C) of the validation photos after each epoch, and their labels."""
    job = job_of(None, _CONFIG.model_copy(update={"seed": seed}), workspace, silent)
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=False)
    epochs, labels = [], torch.cat([labels for _, labels in pupil.batches[1](1)])
    for _ in fit(pupil.module, *pupil.batches, job.plan, Progress(), pupil.accelerator):
        with torch.inference_mode():
            logits = [pupil.module.eval()(inputs).float() for inputs, _ in pupil.batches[1](1)]
        epochs.append(torch.cat(logits).double().numpy())
    return epochs, labels.numpy()


def _judged(
    epochs: Sequence[FloatArray],
    labels_N: IntArray,
    choice: Callable[[Sequence[FloatArray], IntArray], int],
    own: IntArray,
    other: IntArray,
) -> tuple[float, float, float]:
    number = choice([logits_NC[own] for logits_NC in epochs], labels_N[own])
    chosen = epochs[number]
    temperature = min(TEMPERATURES, key=lambda each: _loss(chosen[own], labels_N[own], each))
    return _accuracy(chosen[other], labels_N[other]), number + 1, _loss(chosen[other], labels_N[other], temperature)


def _loss(logits_NC: FloatArray, labels_N: IntArray, temperature: float = 1.0) -> float:
    return float(-log_softmax(logits_NC / temperature, 1)[np.arange(len(labels_N)), labels_N].mean())


def _lowest_loss(logits_NC: FloatArray, labels_N: IntArray) -> float:
    return min(_loss(logits_NC, labels_N, temperature) for temperature in TEMPERATURES)


def _accuracy(logits_NC: FloatArray, labels_N: IntArray) -> float:
    return float((logits_NC.argmax(1) == labels_N).mean())


def _lowest(figure: Callable[[FloatArray, IntArray], Any]) -> Callable[[Sequence[FloatArray], IntArray], int]:
    def choice(epochs: Sequence[FloatArray], labels_N: IntArray) -> int:
        return min(range(len(epochs)), key=lambda number: figure(epochs[number], labels_N))

    return choice


CHOICES: dict[str, Callable[[Sequence[FloatArray], IntArray], int]] = {
    "loss at the best temperature (as built)": _lowest(_lowest_loss),
    "loss at a temperature of 1": _lowest(_loss),
    "accuracy, then loss": _lowest(lambda logits, y: (-_accuracy(logits, y), _loss(logits, y))),
    "none: the last epoch": lambda epochs, _: len(epochs) - 1,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakes", nargs="+", choices=list(LAKES), default=list(LAKES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    given = parser.parse_args()
    measure(given.lakes, given.seeds)
