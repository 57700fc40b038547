"""The door: a Run is trained again from its record, and compared with itself."""

from __future__ import annotations

import csv
import hashlib
import math
import os
import time

import safetensors.torch
import torch

from fledged import progress
from fledged.errors import ProductError
from fledged.fitting import allocator
from fledged.fitting.epochs import Epoch, Progress
from fledged.fitting.loop import fit
from fledged.networks.model import Classifier
from fledged.products import WEIGHTS_FILE, Dataset, Run
from fledged.training.environment import differences, environment
from fledged.training.job import Job, job_of, pupil_of, untrained
from fledged.training.reproduction import Reproduction
from fledged.training.run_files import weights_of
from fledged.workspace import DEFAULT, Workspace
from fledged.writing import bytes_of_file

_TIMES = {"seconds"}  # of the figures of an epoch; no two trainings take the same


@allocator.kept()
def reproduce(
    run: Run | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
) -> Reproduction:
    """Whether the run, trained again from its dataset, settings and starting weights, is the same to the last bit.

    Nothing of the run is changed, and nothing is kept of the second one. What leaves frozen blocks is taken from the
    cache, where it is there, as in any training. `fledged.toml` takes no part. Raises ProductError where the starting
    weights are not those of then.
    """
    start_s = time.monotonic()
    workspace = Workspace(work)
    with workspace.lock():
        if not isinstance(run, Run):
            run = workspace.load(Run, run)
        dataset = workspace.load(Dataset, run.dataset_id)
        job = job_of(dataset, run.settings, workspace, report or progress.default())
        _check(job, run)
        model, so_far = _again(job, run.n_epochs)
    weights = weights_of(model)
    name, largest = _largest_difference(bytes_of_file(run.folder / WEIGHTS_FILE), weights)
    return Reproduction(
        run_id=run.id,
        n_epochs=run.n_epochs,
        weights_sha256=run.files[WEIGHTS_FILE],
        again_sha256=hashlib.sha256(weights).hexdigest(),
        largest_difference=largest,
        where_largest=name,
        first_epoch_that_differs=_first_difference(_history(run), so_far.history),
        differences_of_environment=tuple(differences(run.environment, environment())),
        seconds=time.monotonic() - start_s,
    )


def _check(job: Job, run: Run) -> None:
    if job.source.sha256 != run.backbone.weights_sha256:
        raise ProductError(
            f"Run {run.id} began with other weights: sha256 {run.backbone.weights_sha256[:12]}…, and here are "
            f"{job.source.sha256[:12]}…",
            where=job.source.path,
            remedy="Put those of then in their place.",
        )
    if job.run_id != run.id:
        raise ProductError(
            f"The settings of run {run.id} mean something else by now",
            where=run.folder,
            remedy=f"Take the fledged that trained it, {run.environment.fledged}.",
        )


def _again(job: Job, n_epochs: int) -> tuple[Classifier, Progress]:
    """The model of the best epoch, and where training stood at the end; a run that was stopped is stopped there."""
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=False)
    for so_far in fit(pupil.module, *pupil.batches, job.plan, Progress(), pupil.accelerator):
        job.report("Training epochs again", len(so_far.history), n_epochs)
        if len(so_far.history) == n_epochs:
            break
    pupil.module.load_state_dict(so_far.best)  # which shares its weights with the model
    return model, so_far


def _largest_difference(then: bytes, now: bytes) -> tuple[str, float]:
    """The tensor that differs most, and by how much; "", 0 where all are equal to the last bit."""
    before, after = safetensors.torch.load(then), safetensors.torch.load(now)
    if before.keys() != after.keys() or any(before[name].shape != after[name].shape for name in before):
        return "the network itself", math.inf
    differ = [name for name in before if not torch.equal(before[name], after[name])]
    by_name = {name: float((before[name].double() - after[name].double()).abs().max()) for name in differ}
    return max(by_name.items(), key=lambda pair: pair[1], default=("", 0.0))


def _first_difference(then: list[dict[str, float]], now: tuple[Epoch, ...]) -> int:
    """The first epoch whose figures are not those of then; 0 where all are."""
    again = [epoch.model_dump(exclude=_TIMES) for epoch in now]
    for number, (before, after) in enumerate(zip(then, again, strict=False), start=1):
        if before != {name: after[name] for name in before}:  # earlier versions kept fewer figures
            return number
    return 0 if len(then) == len(again) else min(len(then), len(again)) + 1


def _history(run: Run) -> list[dict[str, float]]:
    """The figures to the last bit: Python reads what it wrote."""
    with (run.folder / "history.csv").open(newline="") as file:
        return [{name: float(of) for name, of in row.items() if name not in _TIMES} for row in csv.DictReader(file)]
