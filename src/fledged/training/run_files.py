"""What a run leaves in its folder: weights, figures, settings, and a page that shows them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import safetensors.torch
import tomli_w

from fledged.fitting.epochs import Epoch, Progress
from fledged.fitting.steps import as_table
from fledged.metering import Meter
from fledged.networks.backbones import Backbone
from fledged.networks.census import size_of
from fledged.networks.model import Classifier
from fledged.products import REGIONS_FILE, WEIGHTS_FILE, BackboneInfo, Dataset, Run
from fledged.settings.training import TrainConfig
from fledged.training import run_page, stages
from fledged.training.environment import environment
from fledged.training.job import Job
from fledged.training.self_knowledge import self_knowledge
from fledged.training.stages import Stages
from fledged.workspace import Workspace, now
from fledged.writing import bytes_of_file, write_bytes

SETTINGS = "fledged.toml"


def save(job: Job, model: Classifier, backbone: Backbone, so_far: Progress, interrupted: bool, meter: Meter) -> Run:
    """The run, with all of its files; `model` has the weights of the best epoch, and is then on the CPU.

    `meter` counts since its training began.
    """
    best = so_far.best_epoch
    known = self_knowledge(job, backbone.name, model.cpu().eval())
    run = Run(
        id=job.run_id,
        version=Run.format_version,
        created_at=now(),
        seconds=(spent := meter.spent()).seconds,
        spent=spent,
        dataset_id=job.dataset.id,
        classes=job.dataset.classes,
        preprocess=model.embed.how,
        backbone=BackboneInfo(
            name=backbone.name,
            n_features=backbone.n_features,
            n_parameters=backbone.n_parameters,
            weights_origin=job.source.origin,
            weights_sha256=job.source.sha256,
        ),
        mode=job.mode,
        settings=job.config,
        n_epochs=len(so_far.history),
        best_epoch=best.epoch,
        val_accuracy=best.val_accuracy,
        val_loss=best.val_loss,
        val_loss_error=best.val_loss_error,
        interrupted=interrupted,
        environment=environment(job.group),
        calibration=known.calibration,
        unknown=known.unknown,
    )
    run.at(job.workspace.folder(Run.kind, run.id))
    write_bytes(run.folder / WEIGHTS_FILE, weights_of(model))
    write_bytes(run.folder / REGIONS_FILE, known.regions.saved())
    write_bytes(run.folder / "history.csv", _history_csv(so_far.history))
    write_bytes(run.folder / "steps.csv", as_table(so_far.steps).write_csv().encode())
    write_bytes(run.folder / SETTINGS, as_toml(run.settings, run.id, run.dataset_id).encode())
    run_page.write(run, job.dataset, size_of(run, model))
    return job.workspace.save(run)


def weights_of(model: Classifier) -> bytes:
    """As they are kept; `model` is then on the CPU. Equal weights are equal bytes."""
    state = {name: tensor.contiguous().clone() for name, tensor in model.cpu().state_dict().items()}
    return safetensors.torch.save(state)


def as_toml(config: TrainConfig, run_id: str, dataset_id: str) -> str:
    """The settings of a run as a `fledged.toml` that asks for the same run."""
    settings = config.model_dump(mode="json", exclude={"track", "processes"}, exclude_none=True)
    if config.weights:
        settings["weights"] = str(Path(config.weights).expanduser().resolve())
    head = (
        f"# The settings of run {run_id}. In a folder with this file the same again is: fledged train {dataset_id}\n\n"
    )
    return head + tomli_w.dumps({"train": settings})


def tell_stages(told: Stages, workspace: Workspace) -> Run:
    """Put the stages on the page of each stage's run; the best run."""
    record = told.model_dump_json(indent=2).encode()
    with workspace.lock():
        for stage in told.stages:
            run = workspace.load(Run, stage.run_id)
            path = run.folder / stages.FILE
            if not path.exists() or bytes_of_file(path) != record:
                write_bytes(path, record)
                run_page.write(run, workspace.load(Dataset, run.dataset_id), size_of(run))
                workspace.save(run)
        best = workspace.find(Run, told.best.run_id)  # which makes it the newest
    return best or workspace.load(Run, told.best.run_id)


def _history_csv(history: tuple[Epoch, ...]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(Epoch.model_fields))
    writer.writeheader()
    writer.writerows(epoch.model_dump() for epoch in history)
    return text.getvalue().encode()
