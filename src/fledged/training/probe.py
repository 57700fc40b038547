"""What training costs on this machine with these photos: measured on a few of them, in seconds."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from accelerate import Accelerator
from torch import nn

from fledged import engine
from fledged.augmenting import views
from fledged.embedding.activations import anew, n_bytes, n_lacking, open_graphs
from fledged.embedding.features import Embedding, copy_keys, embed, known_features, open_graph
from fledged.embedding.graphs import embedding_of
from fledged.fitting import losses, optimizers, precision
from fledged.fitting.batches import read_split
from fledged.fitting.loop import step
from fledged.fitting.plan import Plan
from fledged.networks.backbones import Backbone
from fledged.networks.blocks import chain, cut
from fledged.networks.model import Classifier, Tail, to_training
from fledged.training.budget import Clock, Cost
from fledged.training.job import Job, embedding_for, frozen_part, untrained
from fledged.training.self_knowledge import n_asked

SAVE_S = 4.0  # of a core, for what a network knows of itself, weights, curves and the run's page
PART_S = 0.6  # a part of the costs is measured for as long, where there is no plan to share the time out

_PROBED = 48  # photos
_WARM_STEPS = 1

# Fewest epochs that are worth it, and most that are of use, of the head, of last blocks, of all blocks, from scratch.
_HEAD, _BLOCKS, _ALL, _SCRATCH = (20, 60), (8, 30), (2, 30), (2, 200)

Photo = tuple[bytes, str]  # jpeg and sha256


@dataclass(frozen=True, slots=True)
class Opened:
    """A network and the photos that are tried on it."""

    backbone: Backbone
    model: Classifier
    photos: list[Photo]
    keys_train: pl.Series  # of all photos in the caches
    keys_judge: pl.Series
    seconds: float  # that it took


def opened(job: Job) -> Opened:
    """What probing needs; training opens the same."""
    start_s = time.monotonic()
    backbone, model = untrained(job)
    train, judge = read_split(job.dataset, "train"), read_split(job.dataset, "val")
    some = train.sample(min(_PROBED, train.height), seed=0).select("jpeg", "sha256").rows()
    keys = copy_keys(train["jpeg"]), copy_keys(judge["jpeg"])
    return Opened(backbone, model, some, *keys, time.monotonic() - start_s)


def closing_s(job: Job, what: Opened, slice_s: float, clock: Clock) -> float:
    """Seconds from the last epoch to the saved run, whatever was trained of the backbone: its features are new then."""
    if job.config.mode == "transfer":
        return SAVE_S * clock.slowdown  # features are in the cache
    how = what.model.embed.how
    ask = open_graph(embedding_of(what.backbone.name, what.backbone.module, how, job.workspace))
    answer_s = _seconds_a_photo(lambda photo: embed(ask, [photo], how, 0, ()), what.photos, slice_s)
    return SAVE_S * clock.slowdown + n_asked(job.dataset) * answer_s


def cost_of(job: Job, what: Opened, slice_s: float, end_s: float, head: Cost | None = None) -> Cost | None:
    """What the job costs, up to as many views as it asks for; each part is measured for about `slice_s`.

    `end_s` is what closing it takes, `head` the cost of the head that fine-tuning begins with. None if the activations
    of the frozen blocks would be more than may be kept.
    """
    config = job.config
    first = None if config.start or config.mode != "finetune" else head
    first_s = first.first_s + first.view_s[0] if first else 0.0
    ready_s = what.seconds + (_HEAD[1] * first.epoch_s if first else 0.0)
    blocks = chain(what.backbone.name, what.backbone.module)
    is_whole = config.mode == "scratch" or config.unfreeze in (-1, len(blocks))
    fewest_and_most = _ALL if is_whole else _BLOCKS
    fewest_and_most = {"transfer": _HEAD, "scratch": _SCRATCH}.get(config.mode, fewest_and_most)
    if is_whole:
        epoch_s = _whole_epoch_s(job, what, slice_s)
        return Cost(config.unfreeze, config.input.size_px, first_s, ready_s, end_s, (), epoch_s, fewest_and_most)
    how = what.model.embed.how
    if config.mode == "transfer":
        frozen = embedding_for(job, what.backbone.name, what.backbone.module, how)
        module: nn.Module = what.model.head
    else:
        before, after = cut(blocks, config.unfreeze, what.backbone.name)
        frozen = frozen_part(job, before, what.backbone.name, how)
        module = Tail(after, what.model.head)
    asks, recipe = open_graphs(frozen), config.augment.recipe
    view_s = [
        _seconds_a_photo(lambda photo: anew(asks, photo, how, (n, recipe)), what.photos, slice_s)  # noqa: B023
        for n in range(min(2, config.views))
    ]
    shape = anew(asks, what.photos[0], how, (0, ())).shape[1:]
    n_photos = len(what.keys_train), len(what.keys_judge)
    if config.mode != "transfer" and n_bytes(n_photos[0], config.views, shape) > config.cache.limit_gigabytes * 1e9:
        return None
    step_s, val_s = _pace(module, torch.rand(job.plan.batch_size, *shape), job, slice_s)
    return Cost(
        unfreeze=config.unfreeze,
        size_px=config.input.size_px,
        first_s=first_s + _n_lacking(what.keys_judge, frozen, 0, job) * view_s[0],
        ready_s=ready_s,
        closing_s=end_s,
        view_s=tuple(
            _n_lacking(what.keys_train, frozen, n, job) * view_s[min(n, len(view_s) - 1)] for n in range(config.views)
        ),
        epoch_s=n_photos[0] * step_s + n_photos[1] * val_s,
        epochs=fewest_and_most,
    )


def _n_lacking(keys: pl.Series, frozen: Embedding, number: int, job: Job) -> int:
    """Photos whose view is in no cache."""
    recipe = job.config.augment.recipe
    if job.config.mode != "transfer":
        return n_lacking(keys, frozen, number, recipe, job.workspace)
    return len(set(keys) - set(known_features(frozen, number, job.workspace, recipe)["copy"]))


def _whole_epoch_s(job: Job, what: Opened, slice_s: float) -> float:
    """An epoch of a network that sees photos; decoding and arithmetic share the cores."""
    how, recipe = what.model.embed.how, job.config.augment.recipe
    decode_s = _seconds_a_photo(lambda photo: views.view(photo[0], how, 1, recipe), what.photos, slice_s)
    photos = torch.randint(0, 256, (job.plan.batch_size, how.size_px, how.size_px, 3), dtype=torch.uint8)
    step_s, val_s = _pace(what.model, photos, job, slice_s)
    return len(what.keys_train) * (step_s + decode_s) + len(what.keys_judge) * (val_s + decode_s)


def _seconds_a_photo(make: Callable[[Photo], object], photos: Sequence[Photo], slice_s: float) -> float:
    """With a thread a core, as it is done for all photos."""
    n_threads = engine.n_workers(0)
    upcoming = itertools.cycle(photos)
    with ThreadPoolExecutor(n_threads, initializer=views.alone) as pool:
        list(pool.map(make, itertools.islice(upcoming, n_threads)))  # the first ones warm up
        n_done, start_s = 0, time.monotonic()
        while not n_done or time.monotonic() - start_s < slice_s:
            n_done += len(list(pool.map(make, list(itertools.islice(upcoming, 4 * n_threads)))))
    return (time.monotonic() - start_s) / n_done


def _pace(module: nn.Module, inputs: torch.Tensor, job: Job, slice_s: float) -> tuple[float, float]:
    """Seconds a photo of a training step, and of validation; a copy of the module is trained, not itself."""
    plan = job.plan
    accelerator = precision.accelerator(plan.optimize.precision, on_cpu=job.config.mode == "transfer")
    module = copy.deepcopy(module)
    if isinstance(module, Classifier):
        module.to(memory_format=torch.channels_last)
    n_classes = len(job.dataset.classes)
    labels_N = torch.from_numpy(np.arange(len(inputs)) % n_classes)
    with torch.random.fork_rng([]):
        steps_s = _steps_s(accelerator.prepare(module), inputs, labels_N, plan, accelerator, slice_s)
    module.eval()
    with torch.inference_mode():
        module(inputs.to(accelerator.device))
        start_s = time.monotonic()
        module(inputs.to(accelerator.device)).cpu()
    return float(np.median(steps_s)) / len(inputs), (time.monotonic() - start_s) / len(inputs)


def _steps_s(
    module: nn.Module,
    inputs: torch.Tensor,
    labels_N: torch.Tensor,
    plan: Plan,
    accelerator: Accelerator,
    slice_s: float,
) -> list[float]:
    to_training(module, plan.keeps_statistics)
    optimizer = optimizers.make(module, plan.optimize, plan.learning_rate, plan.backbone_rate)
    taken: list[float] = []
    while len(taken) <= _WARM_STEPS or sum(taken) < slice_s:
        start_s = time.monotonic()
        batch = losses.mixed(inputs.to(accelerator.device), labels_N.to(accelerator.device), plan.loss, (0, 1, 0))
        step(module, optimizer, [batch], plan, accelerator)
        taken.append(time.monotonic() - start_s)
    return taken[_WARM_STEPS:]
