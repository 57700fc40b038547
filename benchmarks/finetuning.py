"""Full fine-tuning against a plain torchvision loop: photos a second, in turns.

    python -m benchmarks finetuning
    python -m benchmarks.finetuning --work DIR --sizes 160 --rounds 3    # a working folder with a dataset, kept

MobileNetV2 with the test weights, all blocks, batches of 32, SGD. The plain loop is eager, in float32, with a
DataLoader of two workers, Pillow and torchvision's transforms, on the original files; fledged reads its shrunk copies.
Each turn is a process of its own that trains on as many photos, after a step that is not counted.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.measuring import fledged, no_page, run
from benchmarks.mislabels import GROUP_BY

LAKE = "birds_vs_drones"
PLAIN = "plain loop, fp32"
Precision = Literal["fp32", "bf16"]
BATCH, _STEPS = 32, 8
N_PHOTOS = BATCH * _STEPS


def main() -> None:
    """The usual sizes."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), (160, 224), 3)


def measure(work: Path, sizes: Sequence[int], n_rounds: int) -> None:
    """A table for each size."""
    if not make_dataset(work):
        return
    if not (folders := work / "folders").is_dir():
        run(fledged("copy", str(folders), "--work", str(work)))
    for size_px in sizes:
        _write(size_px, _rows(work, size_px, n_rounds), n_rounds)


def make_dataset(work: Path) -> bool:
    """Where there is none yet; False, and it is said, where photos or weights are missing."""
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return False
    if not (work / "datasets").is_dir():
        run(fledged("scan", str(DATA / LAKE), "--work", str(work)))
        run(fledged("review", "--work", str(work), *no_page()))
        run(fledged("prepare", "--work", str(work), "--group-by", GROUP_BY[LAKE]))
    return True


def _write(size_px: int, rows: list[list[object]], n_rounds: int) -> None:
    results.write(
        f"Fine-tuning: all blocks against a plain loop, {size_px} px",
        "python -m benchmarks finetuning",
        ["how", "photos a second", "ratio", "CPU ms a photo", "ratio by CPU"],
        rows,
        f"{N_PHOTOS} photos of {LAKE} a turn, batches of {BATCH}, {n_rounds} rounds of turns; medians. Ratios are\n"
        "of one round. Loading and augmentation are included. The plain loop lets BatchNorm take each batch's\n"
        "statistics, fledged keeps those of the weights: each one's usual way.",
    )


def _rows(work: Path, size_px: int, n_rounds: int) -> list[list[object]]:
    ways = {PLAIN: "plain", "fledged, fp32": "fp32", "fledged, bf16": "bf16"}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(n_rounds):
        for name, way in ways.items():
            command = [sys.executable, "-m", "benchmarks.finetuning", "--work", str(work), "--turn", way]
            said = json.loads(run([*command, "--sizes", str(size_px)]).stdout.splitlines()[-1])
            taken[name].append((said["wall_s"], said["cpu_s"]))
    rows: list[list[object]] = []
    for name, turns in taken.items():
        wall_s, cpu_s = (statistics.median(turn[which] for turn in turns) for which in (0, 1))
        ratios = [
            statistics.median(plain[which] / turn[which] for plain, turn in zip(taken[PLAIN], turns, strict=True))
            for which in (0, 1)
        ]
        per_s, cpu_ms = f"{N_PHOTOS / wall_s:.1f}", f"{cpu_s / N_PHOTOS * 1e3:.1f}"
        rows.append([name, per_s, f"{ratios[0]:.2f}", cpu_ms, f"{ratios[1]:.2f}"])
    return rows


def _plain(folders: Path, size_px: int) -> None:
    import torch
    from safetensors.torch import load_file
    from torch import nn
    from torch.utils.data import DataLoader, Subset
    from torchvision.datasets import ImageFolder
    from torchvision.models import mobilenet_v2
    from torchvision.transforms import v2

    torch.manual_seed(7)
    varied = v2.Compose(
        [
            v2.RandomResizedCrop(size_px, scale=(0.5, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    photos = ImageFolder(folders / "train", varied)
    chosen = Subset(photos, torch.randperm(len(photos))[:N_PHOTOS].tolist())
    model = mobilenet_v2()
    state = load_file(WEIGHTS)
    model.load_state_dict({name: state.get(name, value) for name, value in model.state_dict().items()})
    model.classifier = nn.Linear(1280, len(photos.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(x), y))
        optimizer.step()

    model.train()
    step(torch.rand(BATCH, 3, size_px, size_px), torch.zeros(BATCH, dtype=torch.int64))
    with _told():
        for x, y in DataLoader(chosen, BATCH, shuffle=True, num_workers=2):
            step(x, y)


def _ours(work: Path, size_px: int, precision: Precision, compiled: bool) -> None:
    import torch

    from fledged.fitting import allocator, optimizers
    from fledged.fitting.batches import PhotoBatches
    from fledged.fitting.compiling import Compiled
    from fledged.fitting.loop import batches_of, step
    from fledged.fitting.losses import Mix
    from fledged.networks.model import to_training
    from fledged.progress import silent
    from fledged.settings.training import TrainConfig
    from fledged.training.job import job_of, pupil_of, untrained
    from fledged.workspace import Workspace

    asked = {"backbone": "mobilenet_v2", "weights": str(WEIGHTS), "mode": "finetune", "batch_size": BATCH}
    optimize = {"optimizer": "sgd", "precision": precision}
    config = TrainConfig.model_validate({**asked, "optimize": optimize, "input": {"size_px": size_px}})
    job = job_of(None, config, Workspace(work), silent)
    pupil = pupil_of(job, job.plan, *untrained(job), has_begun=True)
    train, accelerator = pupil.batches[0], pupil.accelerator
    assert isinstance(train, PhotoBatches)
    train = replace(train, photos=train.photos.sample(N_PHOTOS, seed=7))
    model = accelerator.prepare_model(pupil.module, evaluation_mode=True)
    learner = Compiled(model, BATCH) if compiled else model
    optimizer = optimizers.make(pupil.module, job.plan.optimize, job.plan.learning_rate, job.plan.backbone_rate)
    to_training(model, job.plan.keeps_statistics)
    photos_NHWC = torch.zeros(BATCH, size_px, size_px, 3, dtype=torch.uint8)
    start_s, start_cpu_s = time.monotonic(), _cpu_s()
    step(learner, optimizer, [Mix(photos_NHWC, torch.zeros(BATCH, dtype=torch.int64))], job.plan, accelerator)
    with allocator.kept(), _told(first_s=time.monotonic() - start_s, first_cpu_s=_cpu_s() - start_cpu_s):
        for batches in batches_of(train, 1, learner, job.plan, accelerator):
            step(learner, optimizer, batches, job.plan, accelerator)


@contextmanager
def _told(**before: float) -> Iterator[None]:
    """Print what happens in here, as seconds by the clock and of CPU time, workers that have ended included."""
    start_s, start_cpu_s = time.monotonic(), _cpu_s()
    yield
    print(json.dumps({"wall_s": time.monotonic() - start_s, "cpu_s": _cpu_s() - start_cpu_s, **before}))


def _cpu_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[160, 224])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turn", choices=("plain", "fp32", "bf16"), help="one turn, in this process")
    parser.add_argument("--compiled", action="store_true", help="of a turn: by compiled steps")
    given = parser.parse_args()
    if given.turn is None:
        measure(given.work, given.sizes, given.rounds)
    elif given.turn == "plain":
        _plain(given.work / "folders", given.sizes[0])
    else:
        _ours(given.work, given.sizes[0], given.turn, given.compiled)
