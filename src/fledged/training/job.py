"""What is to be trained: the model before its first step, and what it is fed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import safetensors.torch
import torch
from accelerate import Accelerator
from torch import nn

from fledged import progress
from fledged.embedding.activations import Store, anew, open_graphs, shape_of
from fledged.embedding.agreement import N_PHOTOS, Inputs, as_inputs, settled
from fledged.embedding.features import Embedding, add_features
from fledged.embedding.graphs import embedding_of, onward
from fledged.engine import LOCAL, Engine
from fledged.errors import ConfigError
from fledged.fitting import precision
from fledged.fitting.batches import Batches, Part, PhotoBatches, read_split
from fledged.fitting.epochs import Progress
from fledged.fitting.loop import fit
from fledged.fitting.plan import Plan
from fledged.fitting.processes import ALONE, Group
from fledged.networks import backbones, graph
from fledged.networks.backbones import Backbone
from fledged.networks.blocks import chain, cut
from fledged.networks.model import Classifier, Head, Tail
from fledged.networks.tensors import tensors_of
from fledged.networks.weights import Source, locate
from fledged.products import WEIGHTS_FILE, Dataset, Preprocess, Run, Split
from fledged.settings.training import LossConfig, OptimizeConfig, TrainConfig
from fledged.training.colours import colours_of
from fledged.training.concrete import concrete, identity, plan_of, run_by
from fledged.training.tail import tail_batches
from fledged.training.transfer import feature_batches
from fledged.workspace import Workspace, product_id


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be trained on what; nothing in the settings is left to be decided."""

    run_id: str
    dataset: Dataset
    config: TrainConfig
    source: Source
    workspace: Workspace
    report: progress.Report
    group: Group = ALONE  # of processes that work on it
    on: Engine = LOCAL  # who fills the caches

    @property
    def mode(self) -> Literal["transfer", "finetune", "scratch"]:
        """How the network is trained; gradual unfreezing is a job a stage."""
        if self.config.mode == "gradual":
            raise ValueError("not one job, but several")
        return self.config.mode

    @property
    def plan(self) -> Plan:
        """Of the training."""
        return plan_of(self.config, self.dataset)


@dataclass(frozen=True, slots=True)
class Pupil:
    """What is trained, and what it is fed."""

    module: nn.Module  # shares its weights with the whole model
    batches: tuple[Batches, Batches]  # to learn from, and to judge by
    accelerator: Accelerator


def job_of(
    dataset: Dataset | str | None,
    config: TrainConfig,
    workspace: Workspace,
    report: progress.Report,
    on: Engine = LOCAL,
) -> Job:
    """The job that these settings stand for. Raises ConfigError where the dataset is not fit for them."""
    if not isinstance(dataset, Dataset):
        dataset = workspace.load(Dataset, dataset)
    if not dataset.n_in("val"):
        raise ConfigError(
            f"Dataset {dataset.id} has no photos to validate by",
            where=dataset.folder,
            remedy="What belongs together stays in one split: add photos that stand for themselves, and prepare again.",
        )
    if (size_px := config.input.size_px) > dataset.shorter_side_px:
        raise ConfigError(
            f"`train.input.size_px` is {size_px}; this dataset's photos were shrunk to {dataset.shorter_side_px}",
            where=f"dataset {dataset.id}",
            remedy=f"Run: fledged prepare --set prepare.shorter_side_px={size_px}",
        )
    start = workspace.load(Run, config.start) if config.start else None
    if start is not None:
        _check_start(start, config, dataset)
        config = config.model_copy(update={"start": start.id, "backbone": start.backbone.name})
    source = locate(config)
    job = Job("", dataset, concrete(config, source.backbone, dataset), source, workspace, report, on=on)
    if job.config.cache.engine == "auto":
        backbone, model = untrained(job)
        chosen = embedding_for(job, backbone.name, backbone.module, model.embed.how).engine
        job = replace(job, config=job.config.model_copy(update={"cache": run_by(job.config.cache, chosen)}))
    return replace(job, run_id=product_id(Run, dataset.id, identity(job.config), source.sha256))


def untrained(job: Job) -> tuple[Backbone, Classifier]:
    """The model before its first step, decided by the job alone."""
    torch.manual_seed(job.config.seed)
    backbone = backbones.build(job.source)
    start = job.workspace.load(Run, job.config.start) if job.config.start else None
    how = start.preprocess if start else _preprocess(job, backbone)
    settings = job.config.head
    head = Head(backbone.n_features, len(job.dataset.classes), settings.dropout, settings.hidden)
    model = Classifier(backbone.module, head, how)
    if start is not None:
        model.load_state_dict(tensors_of(safetensors.torch.load_file, start.folder / WEIGHTS_FILE))
    return backbone, model


def pupil_of(job: Job, plan: Plan, backbone: Backbone, model: Classifier, *, has_begun: bool) -> Pupil:
    """What of the model is trained, and its batches; before fine-tuning begins, its head is fitted.

    Of several processes each computes a part of what is computed once. Heads on features are the first one's alone:
    that takes seconds.
    """
    dataset, how, group = job.dataset, model.embed.how, job.group
    if job.config.mode == "transfer":
        with group.first_first():
            embedding = embedding_for(job, backbone.name, backbone.module, how)
        _fill(job, plan, embedding, job.config.views)
        batches = feature_batches(dataset, embedding, plan, job.config, job.workspace, job.report)
        if not job.config.start:  # that head was fitted to features standardised as they were then
            model.head.standardise_by(batches[0].features_KNF[0])
        # Features of thousands of photos fit a CPU; moving them to an accelerator costs more than it saves.
        return Pupil(model.head, batches, precision.accelerator(plan.optimize.precision, on_cpu=True))
    if job.config.mode == "finetune" and not has_begun and not job.config.start:
        _fit_head_first(job, plan, backbone, model)
    if job.config.mode == "finetune" and job.config.unfreeze >= 0:
        frozen, trained = cut(chain(backbone.name, backbone.module), job.config.unfreeze, backbone.name)
        if len(frozen):
            store = Store(job.workspace, int(job.config.cache.limit_gigabytes * 1e9), job.report)
            with group.first_first():
                embedding = frozen_part(job, frozen, backbone.name, how)
            of_tail = tail_batches(dataset, embedding, plan, job.config, store, group)
            tail = Tail(trained, model.head)
            return Pupil(tail, of_tail, precision.accelerator(plan.optimize.precision))
    if job.config.mode == "scratch" and not has_begun and backbone.name.startswith("timm:"):
        # What cannot be served is told before hours of training; with weights, the first head or cut has told it.
        graph.to_onnx(model.embed, graph.blank_photos(how.size_px), "features")
    balanced = plan.balance == "sampling"
    photos, recipe = read_split(dataset, "train"), job.config.augment.recipe
    part = Part(group.rank, group.size, reads_all=plan.loss.mixes)
    train = PhotoBatches(photos, how, plan.batch_size, plan.seed, True, balanced, recipe, part)
    judged, part = read_split(dataset, plan.judged_on), replace(part, reads_all=False)
    judge = PhotoBatches(judged, how, plan.batch_size, plan.seed, augment=False, part=part)
    model.to(memory_format=torch.channels_last)
    return Pupil(model, (train, judge), precision.accelerator(plan.optimize.precision))


def _preprocess(job: Job, backbone: Backbone) -> Preprocess:
    given = job.config.input
    if backbone.fixed_px not in (None, given.size_px):
        raise ConfigError(
            f"`train.input.size_px` is {given.size_px}; {backbone.name} takes {backbone.fixed_px} alone",
            remedy=f"Take --set train.input.size_px={backbone.fixed_px}, or another backbone.",
        )
    how = Preprocess(size_px=given.size_px, resize=given.resize, mean=backbone.mean, std=backbone.std)
    if given.normalise == "dataset":
        mean, std = colours_of(job.dataset, how)
        how = how.model_copy(update={"mean": mean, "std": std})
    return how


def embedding_for(job: Job, name: str, module: nn.Module, how: Preprocess) -> Embedding:
    """The feature extractor `module`, of the architecture `name`, run by the engine that the job asks for."""

    def inputs() -> Inputs:
        return as_inputs(_first_photos(job), how)

    embedding = embedding_of(name, module, how, job.workspace, job.on)
    return settled(embedding, job.config.cache.engine, inputs, job.workspace)


def frozen_part(job: Job, frozen: nn.Sequential, name: str, how: Preprocess) -> Embedding:
    """The frozen blocks in one go, or in two where the activations of an earlier cut are kept for later ones."""
    n_trained, n_kept = job.config.unfreeze, job.config.cache.blocks
    n_between = min(max(0, n_kept - n_trained), len(frozen))
    if not n_between or n_between == len(frozen):
        return embedding_for(job, f"{name}[:-{n_trained}]", frozen, how)
    base = embedding_for(job, f"{name}[:-{n_kept}]", frozen[:-n_between], how)

    def inputs() -> Inputs:
        asks = open_graphs(base)
        return [anew(asks, photo, how, (0, ())).astype(np.float32) for photo in _first_photos(job)]

    between = frozen[-n_between:]
    later = onward(base, f"{name}[-{n_kept}:-{n_trained}]", between, shape_of(base), job.workspace)
    return settled(later, job.config.cache.engine, inputs, job.workspace)


def _first_photos(job: Job) -> list[tuple[bytes, str]]:
    """The jpeg and sha256 of a few training photos."""
    return read_split(job.dataset, "train").head(N_PHOTOS).select("jpeg", "sha256").rows()


def _fill(job: Job, plan: Plan, embedding: Embedding, n_views: int) -> None:
    """Each of several processes computes the features of a part of the photos, so that all find them in the cache."""
    if job.group.size == 1:
        return
    wanted: tuple[tuple[Split, int], ...] = (("train", n_views), (plan.judged_on, 1))
    for split, views in wanted:
        photos = read_split(job.dataset, split)[job.group.rank :: job.group.size]
        for number in range(views):
            # What the disk does not take, the process that needs it computes again.
            add_features(photos, embedding, number, job.workspace, job.report, job.config.augment.recipe, refused=[])
    job.group.wait()


def _fit_head_first(job: Job, plan: Plan, backbone: Backbone, model: Classifier) -> None:
    """A head that already fits keeps fine-tuning from tearing up the features.

    A. Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, 2022.
    """
    usual = {"mode": "transfer", "epochs": 0, "batch_size": 0, "learning_rate": 0.0}
    config = job.config.model_copy(update=usual | {"optimize": OptimizeConfig(), "loss": LossConfig()})
    head_plan = replace(plan_of(config, job.dataset), judged_on=plan.judged_on)
    with job.group.first_first():
        embedding = embedding_for(job, backbone.name, backbone.module, model.embed.how)
    _fill(job, plan, embedding, n_views=1)
    if not job.group.is_first:
        return  # what the first process fits comes with its weights, when the network is shared
    train, judge = feature_batches(job.dataset, embedding, head_plan, job.config, job.workspace, job.report)
    model.head.standardise_by(train.features_KNF[0])
    for so_far in fit(model.head, train, judge, head_plan, Progress(), precision.accelerator("fp32", on_cpu=True)):
        best = so_far.best
    model.head.load_state_dict(best)


def _check_start(start: Run, config: TrainConfig, dataset: Dataset) -> None:
    for what, own, wanted in (
        ("classes", start.classes, dataset.classes),
        ("backbone", start.backbone.name, start.backbone.name if config.backbone == "auto" else config.backbone),
        *((f"input.{name}", getattr(start.settings.input, name), value) for name, value in config.input),
        ("head.hidden", start.settings.head.hidden, config.head.hidden),
    ):
        if own != wanted:
            raise ConfigError(
                f"Run {start.id}, to begin with, has other {what}: {own}, not {wanted}",
                where="train.start",
                remedy="Name a run that fits, or leave it out.",
            )
