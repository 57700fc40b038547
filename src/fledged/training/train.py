"""The door: a Dataset becomes a Run."""

from __future__ import annotations

import csv
import io
import os
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from accelerate import Accelerator
from torch import nn

import fledged
from fledged import progress
from fledged.config import TrainConfig, resolve
from fledged.errors import ConfigError, ProductError
from fledged.products import WEIGHTS_FILE, BackboneInfo, Dataset, Environment, Preprocess, Run
from fledged.training import backbones, checkpoints
from fledged.training.backbones import Backbone
from fledged.training.batches import Batches, PhotoBatches, read_split
from fledged.training.blocks import chain, cut
from fledged.training.loop import Epoch, Plan, Progress, class_weights, fit
from fledged.training.model import Classifier, Head, Tail
from fledged.training.tail import tail_batches
from fledged.training.transfer import embedding_of, feature_batches
from fledged.training.weights import Source, locate
from fledged.workspace import DEFAULT, Workspace, now, product_id, write_bytes

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


@dataclass(frozen=True, slots=True)
class _Pupil:
    """What is trained, and what it is fed."""

    module: nn.Module
    batches: tuple[Batches, Batches]  # of train and of val
    accelerator: Accelerator


def _train(job: _Job, so_far: Progress) -> Run:
    start_s = saved_s = time.monotonic()
    config = job.config
    torch.manual_seed(config.seed)
    backbone = backbones.build(job.source)
    how = Preprocess(size_px=config.size_px, resize=config.resize, mean=backbone.mean, std=backbone.std)
    head = Head(backbone.n_features, len(job.dataset.classes), config.head.dropout, config.head.hidden)
    model = Classifier(backbone.module, head, how)
    interrupted = False
    try:
        pupil = _pupil(job, backbone, model, bool(so_far.history))
        for _ in fit(pupil.module, *pupil.batches, job.plan, so_far, pupil.accelerator):  # adds to so_far
            job.report("Training epochs", len(so_far.history), config.epochs)
            if time.monotonic() - saved_s > _CHECKPOINT_EVERY_S and len(so_far.history) < config.epochs:
                checkpoints.save(so_far, job.run_id, job.dataset.id, config, job.workspace)
                saved_s = time.monotonic()
    except KeyboardInterrupt:
        if not so_far.history:
            raise
        checkpoints.save(so_far, job.run_id, job.dataset.id, config, job.workspace)
        interrupted = True
    pupil.module.load_state_dict(so_far.best)  # which shares its weights with the model
    run = _save(job, model, backbone, so_far, interrupted, time.monotonic() - start_s)
    if not interrupted:
        checkpoints.remove(job.run_id, job.workspace)
    return run


def _pupil(job: _Job, backbone: Backbone, model: Classifier, has_begun: bool) -> _Pupil:
    config, plan, dataset, workspace = job.config, job.plan, job.dataset, job.workspace
    how = model.embed.how
    if config.mode == "transfer":
        embedding = embedding_of(backbone.name, backbone.module, how, workspace)
        batches = feature_batches(dataset, embedding, plan, config.views, workspace, job.report)
        model.head.standardise_by(batches[0].features_KNF[0])
        # Features of thousands of photos fit a CPU; moving them to an accelerator costs more than it saves.
        return _Pupil(model.head, batches, Accelerator(cpu=True))
    if config.mode == "finetune" and not has_begun:
        _fit_head_first(job, backbone, model)
    if config.mode == "finetune" and config.unfreeze >= 0:
        blocks = chain(backbone.name, backbone.module)
        frozen, trained = cut(blocks, config.unfreeze, backbone.name)
        if len(frozen):
            name = f"{backbone.name}[:-{config.unfreeze}]"
            limit_bytes = int(config.cache.limit_gigabytes * 1e9)
            onnx = embedding_of(name, frozen, how, workspace)
            of_tail = tail_batches(dataset, onnx, plan, config.views, limit_bytes, workspace, job.report)
            return _Pupil(Tail(trained, model.head), of_tail, Accelerator())
    balanced = plan.balance == "sampling"
    train = PhotoBatches(read_split(dataset, "train"), how, plan.batch_size, plan.seed, True, balanced)
    val = PhotoBatches(read_split(dataset, "val"), how, plan.batch_size, plan.seed, augment=False)
    model.to(memory_format=torch.channels_last)
    return _Pupil(model, (train, val), Accelerator())


def _fit_head_first(job: _Job, backbone: Backbone, model: Classifier) -> None:
    """A head that already fits keeps fine-tuning from tearing up the features.

    A. Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, 2022.
    """
    head_only = {"mode": "transfer", "epochs": 0, "batch_size": 0, "learning_rate": 0.0}
    plan = _plan(job.config.model_copy(update=head_only), job.dataset)
    embedding = embedding_of(backbone.name, backbone.module, model.embed.how, job.workspace)
    train, val = feature_batches(job.dataset, embedding, plan, 1, job.workspace, job.report)
    model.head.standardise_by(train.features_KNF[0])
    so_far = Progress()
    for _ in fit(model.head, train, val, plan, so_far, Accelerator(cpu=True)):
        pass
    model.head.load_state_dict(so_far.best)


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


def _resolved(config: TrainConfig, source: Source, dataset: Dataset) -> TrainConfig:
    """The settings with nothing left to be decided."""
    if config.unfreeze > 0 and config.mode == "transfer":
        config = config.model_copy(update={"mode": "finetune"})
    if config.unfreeze == 0 and config.mode == "finetune":
        config = config.model_copy(update={"mode": "transfer"})
    plan = _plan(config, dataset)
    usual_views = max(1, min(_MAX_VIEWS, _VIEWED_PHOTOS // dataset.n_in("train")))
    if config.mode == "finetune" and config.unfreeze > 0:
        usual_views = _MAX_VIEWS
    return config.model_copy(
        update={
            "backbone": source.backbone,
            "unfreeze": 0 if config.mode == "transfer" else config.unfreeze,
            "epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate,
            "views": config.views or usual_views,
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
