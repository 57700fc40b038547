"""The job that fits into a given time: probed, planned, and settled once what is computed once is there."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from fledged import progress
from fledged.embedding.activations import Store
from fledged.errors import ConfigError
from fledged.fitting import optimizers
from fledged.fitting.loop import batches_of, step, validate
from fledged.networks.blocks import chain, cut
from fledged.networks.model import to_training
from fledged.products import Dataset
from fledged.settings.training import TrainConfig
from fledged.training import probe
from fledged.training.budget import (
    PLANNED_SHARE,
    SETTLED_SHARE,
    Clock,
    Cost,
    Planned,
    Rung,
    Timing,
    epochs_in,
    is_all,
    ladder,
    lines,
    planned,
    spare,
    why_no_more,
)
from fledged.training.job import Job, embedding_for, frozen_part, job_of, pupil_of, untrained
from fledged.training.probe import Opened
from fledged.training.tail import tail_batches
from fledged.training.transfer import feature_batches
from fledged.workspace import Workspace

_LOG = logging.getLogger("fledged")

_PROBE_S = 20.0
_PROBE_SHARE = 0.2  # of the time, where it is short
_SETTLE_S = 3.0
_SETTLE_SHARE = 0.04  # of the time, where it is long: other work on the machine comes and goes
_CUTS = (0, 1, 3, 6)  # last blocks that may be trained
_VIEWS = (1, 2, 3, 4)
_SMALLER_PX = (160, 128, 96)  # where nothing fits at the usual size
_LARGER_PX = 256  # where all fits at the usual size

JobWith = Callable[..., Job]


def timed_job(
    dataset: Dataset | str | None, asked: TrainConfig, clock: Clock, workspace: Workspace, report: progress.Report
) -> tuple[Job, Timing]:
    """What can be trained until the time is over, and how it keeps to that.

    What leaves its frozen blocks is computed, and the plan is told. What is asked for stays: blocks, views, epochs and
    size are chosen where they are not given. Raises ConfigError if not even the least fits.
    """
    if asked.mode == "gradual":
        raise ConfigError("Gradual unfreezing keeps to no time", where="--time", remedy="Leave --mode or --time out.")
    if asked.optimize.compile:
        raise ConfigError(
            "What compiling takes cannot be foreseen", where="--time", remedy="Leave it or train.optimize.compile out."
        )
    views = (asked.views,) if asked.views else _VIEWS
    views = views if asked.augment.resolved().recipe else (1,)
    first = job_of(dataset, asked.model_copy(update={"views": views[-1]}), workspace, report)

    decided = {"backbone": first.config.backbone, "cache": first.config.cache}

    def job_with(**settings: object) -> Job:
        given = asked.model_copy(update={**decided, "views": views[-1], **settings})
        return job_of(first.dataset, given, workspace, report)

    what = probe.opened(first)
    plan, rungs, what = _chosen(asked, job_with, views, what, clock, first.dataset.shorter_side_px)
    why, planned_s = why_no_more(plan, rungs, clock.spent_s), clock.spent_s
    for line in lines(plan, clock):
        _LOG.info(line)
    if plan.cost.view_s:
        most = replace(plan, views=len(plan.cost.view_s))  # a job of one view would have no augmentation
        n_views = _filled(_job_of(most, asked, job_with), plan, what, clock)
        is_less, plan = n_views < plan.views, replace(plan, views=n_views)
        why = "frozen blocks took longer than planned" if is_less else why_no_more(plan, rungs, planned_s)
        plan = replace(plan, cost=_settled(_job_of(plan, asked, job_with), plan.cost, clock))
        plan = replace(plan, epochs=asked.epochs or epochs_in(plan.cost, plan.views, clock.left_s(SETTLED_SHARE)))
        _LOG.info("Settled after %.0f s: %d epochs of %.2g s", clock.spent_s, plan.epochs, plan.cost.epoch_s)
    if early := spare(plan, why, clock):
        _LOG.info(early)
    return _job_of(plan, asked, job_with), Timing(clock, plan.cost.closing_s, plan.cost.epoch_s)


def _chosen(
    asked: TrainConfig, job_with: JobWith, views: tuple[int, ...], what: Opened, clock: Clock, most_px: int
) -> tuple[Planned, list[Rung], Opened]:
    """The plan, its ladder, and the network that it is of.

    It is for smaller photos where nothing else fits, and for larger ones, which the copies with `most_px` have, where
    all else does.
    """
    cuts = _cuts(asked, what)

    def at(size_px: int, cuts: tuple[int, ...], views: tuple[int, ...]) -> tuple[Opened, list[Rung]]:
        resized = asked.input.model_copy(update={"size_px": size_px})
        job_with_it = partial(job_with, input=resized)
        what = probe.opened(job_with_it())
        return what, ladder(_costs(job_with_it, asked, cuts, what, clock), views)

    rungs = ladder(_costs(job_with, asked, cuts, what, clock), views)
    plan = planned(rungs, clock.left_s(PLANNED_SHARE))
    size_px, is_given = asked.input.size_px, "size_px" in asked.input.model_fields_set
    may_resize = not (is_given or asked.start or what.backbone.fixed_px is not None)
    for smaller_px in [px for px in _SMALLER_PX if px < size_px] if plan is None and may_resize else []:
        what, rungs = at(smaller_px, cuts[:1], views)
        if (plan := planned(rungs, clock.left_s(PLANNED_SHARE))) is not None:
            break
    if plan is None:
        least_s = min((cost.seconds(n, cost.epochs[0]) for cost, n in rungs), default=clock.time_s)
        raise ConfigError(
            f"In {clock.time_s:.0f} s nothing can be trained here that is worth it",
            where="--time",
            remedy=f"Give it about --time {math.ceil((least_s + clock.spent_s) / PLANNED_SHARE / 30) * 30}s.",
        )
    if may_resize and is_all(plan, rungs) and asked.mode != "scratch" and size_px < _LARGER_PX <= most_px:
        of_larger, above = at(_LARGER_PX, (plan.cost.unfreeze,), (plan.views,))
        larger = planned(above, clock.left_s(PLANNED_SHARE))
        if larger is not None and is_all(larger, above):
            return larger, above, of_larger
        rungs = rungs + above
    return plan, rungs, what


def _cuts(asked: TrainConfig, what: Opened) -> tuple[int, ...]:
    """How many last blocks may be trained; one answer where it was said."""
    given = asked.model_fields_set
    if asked.mode == "scratch" or (asked.mode == "finetune" and "unfreeze" not in given):
        return (-1,)
    if asked.unfreeze >= 0 or "unfreeze" in given:
        return (asked.unfreeze,)
    if "mode" in given:
        return (0,)
    n_blocks = len(chain(what.backbone.name, what.backbone.module))
    return tuple(n for n in _CUTS if n < n_blocks)


def _costs(job_with: JobWith, asked: TrainConfig, cuts: tuple[int, ...], what: Opened, clock: Clock) -> list[Cost]:
    """Of the cuts, in their order; those that there is no time to probe are left out."""
    until_s = min(_PROBE_S, clock.time_s * _PROBE_SHARE)
    slice_s = until_s / (8 * len(cuts))
    head = None
    end_s = probe.closing_s(job_with(**_mode(asked, cuts[-1])), what, slice_s, clock)
    save_s = probe.SAVE_S * clock.slowdown
    if cuts[0] and asked.mode != "scratch" and not asked.start:
        head = probe.cost_of(job_with(mode="transfer", unfreeze=0), what, slice_s, save_s)
    costs: list[Cost] = []
    for unfreeze in cuts:
        if costs and clock.spent_s > until_s:
            break
        cost = probe.cost_of(job_with(**_mode(asked, unfreeze)), what, slice_s, end_s if unfreeze else save_s, head)
        head = head or cost
        if cost is not None:
            costs.append(replace(cost, epochs=(asked.epochs, asked.epochs)) if asked.epochs else cost)
    return costs


def _mode(asked: TrainConfig, unfreeze: int) -> dict[str, object]:
    if asked.mode == "scratch":
        return {}
    return {"mode": "finetune" if unfreeze else "transfer", "unfreeze": unfreeze}


def _job_of(plan: Planned, asked: TrainConfig, job_with: JobWith) -> Job:
    size = asked.input.model_copy(update={"size_px": plan.cost.size_px})
    views = plan.views if plan.cost.view_s else asked.views
    return job_with(**_mode(asked, plan.cost.unfreeze), views=views, epochs=plan.epochs, input=size)


def _filled(job: Job, plan: Planned, what: Opened, clock: Clock) -> int:
    """The views that could be computed, with time left for the fewest epochs; what they are computed to is cached.

    Fewer than planned where the machine has become slower, and more where it has become quicker.
    """
    cost, network = plan.cost, what.backbone
    how = what.model.embed.how
    embedding = embedding_for(job, network.name, network.module, how)
    store = Store(job.workspace, int(job.config.cache.limit_gigabytes * 1e9), job.report)
    for n_views in range(1, len(cost.view_s) + 1):
        start_s = time.monotonic()
        config = job.config.model_copy(update={"views": n_views})
        if job.config.mode == "transfer" or not (job.config.start or n_views > 1):
            feature_batches(job.dataset, embedding, job.plan, config, job.workspace, job.report)
        if job.config.mode == "finetune":
            before, _ = cut(chain(network.name, network.module), job.config.unfreeze, network.name)
            tail_batches(job.dataset, frozen_part(job, before, network.name, how), job.plan, config, store)
        expected_s = cost.view_s[n_views - 1] + (cost.first_s if n_views == 1 else 0.0)
        pace = (time.monotonic() - start_s) / expected_s if expected_s > 1 else 1.0
        next_s = sum(cost.view_s[n_views : n_views + 1]) * (max(1.0, pace) if n_views < plan.views else pace)
        left_s = clock.left_s(1.0 if n_views < plan.views else PLANNED_SHARE)
        if not cost.view_s[n_views:] or left_s < next_s + replace(cost, first_s=0.0).seconds(0, cost.epochs[0]):
            break
    if n_views < plan.views:
        _LOG.warning("Frozen blocks took longer than planned: %d of %d views", n_views, plan.views)
    return n_views


def _settled(job: Job, cost: Cost, clock: Clock) -> Cost:
    """What remains to be done, measured where all that is computed once is there: by some steps, and a validation."""
    start_s = time.monotonic()
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=False)
    ready_s = time.monotonic() - start_s
    plan, accelerator = job.plan, pupil.accelerator
    module = accelerator.prepare_model(pupil.module, evaluation_mode=True)
    optimizer = optimizers.make(module, plan.optimize, plan.learning_rate, plan.backbone_rate)
    to_training(module, plan.keeps_statistics)
    taken: list[float] = []
    start_s = time.monotonic()
    epochs = (batches_of(pupil.batches[0], number, module, plan, accelerator) for number in itertools.count(1))
    for batches in itertools.chain.from_iterable(epochs):
        step(module, optimizer, batches, plan, accelerator)
        taken.append(time.monotonic() - start_s)
        if taken[-1] > max(_SETTLE_S, _SETTLE_SHARE * clock.time_s) and len(taken) > 2:
            break
    start_s = time.monotonic()
    validate(accelerator.unwrap_model(module), {}, pupil.batches[1], None, accelerator)
    n_steps = -(-pupil.batches[0].per_epoch // plan.optimize.accumulate)
    step_s = (taken[-1] - taken[0]) / (len(taken) - 1)  # the first one warms up
    return replace(
        cost,
        first_s=0.0,
        ready_s=ready_s,
        view_s=(0.0,) * len(cost.view_s),
        epoch_s=n_steps * step_s + time.monotonic() - start_s,
    )
