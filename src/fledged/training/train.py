"""The door: a Dataset becomes a Run."""

from __future__ import annotations

import csv
import io
import logging
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from accelerate import Accelerator

import fledged
from fledged import progress
from fledged.config import AugmentConfig, TrainConfig, resolve
from fledged.errors import ConfigError, ProductError
from fledged.products import BackboneInfo, Dataset, Environment, Preprocess, Run
from fledged.training import backbones, checkpoints
from fledged.training.backbones import Backbone
from fledged.training.batches import PhotoBatches, read_split
from fledged.training.inference import WEIGHTS_FILE
from fledged.training.loop import Epoch, Plan, Progress, class_weights, fit
from fledged.training.model import Classifier, Head
from fledged.training.transfer import embedding_of, feature_batches, fit_head
from fledged.training.weights import Source, locate
from fledged.workspace import DEFAULT, Workspace, now, product_id, write_bytes

_LOG = logging.getLogger("fledged")

_CHECKPOINT_EVERY_S = 10.0

# Augmented views lower the loss of small datasets and do nothing measurable for large ones, where they cost minutes.
_MAX_VIEWS = 4
_VIEWED_PHOTOS = 600

# What 0 in the settings stands for.
_PLANS = {
    "transfer": Plan(epochs=60, batch_size=256, learning_rate=1e-3, weight_decay=0.1, seed=0),
    "finetune": Plan(epochs=10, batch_size=32, learning_rate=1e-3, weight_decay=0.05, seed=0),
    "scratch": Plan(epochs=50, batch_size=32, learning_rate=2e-3, weight_decay=0.05, seed=0, backbone_rate=1.0),
}


@dataclass(frozen=True, slots=True)
class _Job:
    run_id: str
    dataset: Dataset
    config: TrainConfig
    source: Source
    workspace: Workspace
    report: progress.Report

    @property
    def plan(self) -> Plan:
        return _plan(self.config, self.dataset)


def train(
    dataset: Dataset | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    resume: bool = False,
    **settings: object,
) -> Run:
    """A classifier for the dataset's classes, of the epoch with the lowest validation loss; test is not touched.

    Ctrl-C keeps the best epoch so far. `resume` goes on from the last checkpoint; without settings, with those of
    then. `settings` are the fields of `config.TrainConfig`.
    """
    workspace = Workspace(work)
    given = {name: value for name, value in settings.items() if value is not None}
    with workspace.lock():
        last = checkpoints.latest(workspace) if resume and not given and dataset is None else None
        if resume and not given and dataset is None and last is None:
            raise ProductError(
                "There is no checkpoint to resume from", where=workspace.root, remedy="Run: fledged train"
            )
        config = last.settings if last else resolve(TrainConfig, given)
        if not isinstance(dataset, Dataset):
            dataset = workspace.load(Dataset, last.dataset_id if last else dataset)
        if config.size_px > dataset.shorter_side_px:
            raise ConfigError(
                f"`train.size_px` is {config.size_px}; this dataset's photos were shrunk to {dataset.shorter_side_px}",
                where=f"dataset {dataset.id}",
                remedy=f"Run: fledged prepare --set prepare.shorter_side_px={config.size_px}",
            )
        source = locate(config)
        config = _resolved(config, source, dataset)
        made_from = config.model_dump(mode="json", exclude={"weights"})
        run_id = product_id(Run, dataset.id, made_from, source.sha256)
        earlier = workspace.find(Run, run_id)
        if earlier is not None and not earlier.interrupted:
            return earlier
        checkpoint = checkpoints.find(run_id, workspace) if resume else None
        so_far = checkpoints.load(checkpoint, workspace) if checkpoint else Progress()
        return _train(_Job(run_id, dataset, config, source, workspace, report or progress.default()), so_far)


def _train(job: _Job, so_far: Progress) -> Run:
    start_s = saved_s = time.monotonic()
    config = job.config
    torch.manual_seed(config.seed)
    backbone = backbones.build(job.source)
    how = Preprocess(size_px=config.size_px, resize=config.resize, mean=backbone.mean, std=backbone.std)
    model = Classifier(backbone.module, Head(backbone.n_features, len(job.dataset.classes)), how)
    interrupted = False
    try:
        for _ in _epochs(job, backbone, model, how, so_far):  # each epoch adds to so_far
            job.report("Training epochs", len(so_far.history), config.epochs)
            if time.monotonic() - saved_s > _CHECKPOINT_EVERY_S and len(so_far.history) < config.epochs:
                checkpoints.save(so_far, job.run_id, job.dataset.id, config, job.workspace)
                saved_s = time.monotonic()
    except KeyboardInterrupt:
        if not so_far.history:
            raise
        checkpoints.save(so_far, job.run_id, job.dataset.id, config, job.workspace)
        interrupted = True
    (model.head if config.mode == "transfer" else model).load_state_dict(so_far.best)
    run = _save(job, model, backbone, so_far, interrupted, time.monotonic() - start_s)
    if not interrupted:
        checkpoints.remove(job.run_id, job.workspace)
    return run


def _epochs(job: _Job, backbone: Backbone, model: Classifier, how: Preprocess, so_far: Progress) -> Iterator[Progress]:
    plan = job.plan
    if job.config.mode != "scratch" and not (job.config.mode == "finetune" and so_far.history):
        head_plan = plan if job.config.mode == "transfer" else _plan(_resolved_for_head(job.config), job.dataset)
        embedding = embedding_of(backbone.name, backbone.module, how, job.workspace)
        batches = feature_batches(job.dataset, embedding, head_plan, job.config, job.workspace, job.report)
        if job.config.mode == "transfer":
            return fit_head(model.head, batches, plan, so_far)
        # A head that already fits keeps fine-tuning from tearing up the features (A. Kumar et al., Fine-Tuning can
        # Distort Pretrained Features, 2022).
        for of_head in fit_head(model.head, batches, head_plan, Progress()):
            model.head.load_state_dict(of_head.best)
    balanced = plan.balance == "sampling"
    photos, recipe = read_split(job.dataset, "train"), job.config.augment.recipe
    train = PhotoBatches(photos, how, plan.batch_size, plan.seed, True, balanced, recipe)
    val = PhotoBatches(read_split(job.dataset, "val"), how, plan.batch_size, plan.seed, augment=False)
    model.to(memory_format=torch.channels_last)
    return fit(model, train, val, plan, so_far, Accelerator())


def _plan(config: TrainConfig, dataset: Dataset) -> Plan:
    of_class = dataset.photos_by_split["train"]
    usual = _PLANS[config.mode]
    if config.mode == "transfer":
        # About 500 steps in all, however small the dataset is: enough to converge, and over in a second.
        usual = replace(usual, batch_size=max(8, min(usual.batch_size, dataset.n_in("train") // 8)))
    return Plan(
        epochs=config.epochs or usual.epochs,
        batch_size=config.batch_size or usual.batch_size,
        learning_rate=config.learning_rate or usual.learning_rate,
        weight_decay=usual.weight_decay,
        seed=config.seed,
        backbone_rate=usual.backbone_rate,
        balance=config.balance,
        class_weights=class_weights([of_class.get(label, 0) for label in dataset.classes]),
    )


def _resolved_for_head(config: TrainConfig) -> TrainConfig:
    return config.model_copy(update={"mode": "transfer", "epochs": 0, "batch_size": 0, "learning_rate": 0.0})


def _resolved(config: TrainConfig, source: Source, dataset: Dataset) -> TrainConfig:
    plan = _plan(config, dataset)
    views = config.views or max(1, min(_MAX_VIEWS, _VIEWED_PHOTOS // dataset.n_in("train")))
    augment = config.augment.resolved()
    if not augment.recipe:
        views = 1  # all would be the same
    elif config.mode == "transfer" and views == 1:
        if "augment" in config.model_fields_set:
            _LOG.warning("Augmentation takes no part, since each photo has one view. Ask for more: --views 4")
        augment = AugmentConfig(preset="none")
    if config.resize != "pad" and any(step.step == "longest_side_pad" for step in augment.recipe):
        _LOG.warning("Training photos are padded, served ones are not. For both: --set train.resize=pad")
    return config.model_copy(
        update={
            "backbone": source.backbone,
            "epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate,
            "views": views,
            "augment": augment,
        }
    )


def _save(job: _Job, model: Classifier, backbone: Backbone, so_far: Progress, interrupted: bool, seconds: float) -> Run:
    folder = job.workspace.folder("run", job.run_id)
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    write_bytes(folder / WEIGHTS_FILE, safetensors.torch.save(state))
    write_bytes(folder / "history.csv", _history_csv(so_far.history))
    best = so_far.best_epoch
    return job.workspace.save(
        Run(
            id=job.run_id,
            version=Run.format_version,
            created_at=now(),
            seconds=seconds,
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
            mode=job.config.mode,
            settings=job.config,
            n_epochs=len(so_far.history),
            best_epoch=best.epoch,
            val_accuracy=best.val_accuracy,
            val_loss=best.val_loss,
            interrupted=interrupted,
            environment=_environment(),
        )
    )


def _history_csv(history: list[Epoch]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(Epoch.model_fields))
    writer.writeheader()
    writer.writerows(epoch.model_dump() for epoch in history)
    return text.getvalue().encode()


def _environment() -> Environment:
    return Environment(
        fledged=fledged.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        cpu=_cpu_name(),
        n_threads=torch.get_num_threads(),
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def _cpu_name() -> str:
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
