"""The door: a Dataset becomes a Run."""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

from fledged import progress
from fledged.config import resolve
from fledged.errors import ConfigError, ProductError
from fledged.metering import Meter
from fledged.networks.weights import locate
from fledged.products import Dataset, Run
from fledged.records import Record
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints, run_files, tracking
from fledged.training.budget import LAST_SHARE, Clock, seconds_of
from fledged.training.checkpoints import Checkpoint
from fledged.training.gradual import run_stages
from fledged.training.job import Job, job_of, pupil_of, untrained
from fledged.training.loop import Progress, fit
from fledged.training.probe import SAVE_S
from fledged.training.processes import Group, joined, losses_told
from fledged.training.stopping import Terminated, terminable, undisturbed
from fledged.training.timed import timed_job
from fledged.workspace import DEFAULT, Workspace

_LOG = logging.getLogger("fledged")

_CHECKPOINT_EVERY_S = 10.0
_NO_TIME = "Take several processes without it, and say --epochs."
_RESUME = "To go on for as long: fledged train --resume --time T, and nothing else."


def train(
    dataset: Dataset | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    resume: bool = False,
    time: str | None = None,
    **settings: object,
) -> Run:
    """A classifier for the dataset's classes, of the epoch with the lowest validation loss; test is not touched.

    Ctrl-C keeps the best epoch so far; so does SIGTERM, which then ends the process with exit code 0. `resume` goes on
    from the last checkpoint; without settings, with those of then. `time`, such as 90s, 10m or 1h30m, is kept to:
    what was not said of blocks, views and epochs is chosen to fit, and an epoch that would be too many is not begun.
    `settings` are the fields of `config.TrainConfig`.
    """
    clock = Clock(seconds_of(time)) if time else None
    workspace = Workspace(work)
    given = {name: value for name, value in settings.items() if value is not None}
    asked = resolve(TrainConfig, given)
    tracking.require(asked.track)
    with joined() as group:
        if clock is not None and group.size > 1:
            raise ConfigError("What fits into a time is measured on one process", where="--time", remedy=_NO_TIME)
        if asked.mode == "gradual" and clock is None:
            # Stages that are there already are found, and one that was stopped goes on where it was.
            stage = functools.partial(train, resume=True)
            told = run_stages(stage, dataset, given, asked.gradual, work, report)
            return group.product(Run, workspace, lambda: run_files.tell_stages(told, workspace))

        def begin() -> _Beginning:
            latest = resume and not given and dataset is None
            last = checkpoints.latest(workspace) if latest else None
            if latest and last is None:
                raise ProductError(
                    "There is no checkpoint to resume from", where=workspace.root, remedy="Run: fledged train"
                )
            if last is not None or clock is None:
                config = last.settings if last else asked
                job = job_of(last.dataset_id if last else dataset, config, workspace, report or progress.default())
            elif resume:
                raise ConfigError("What is resumed was planned before", where="--time", remedy=_RESUME)
            else:
                job = timed_job(dataset, asked, clock, workspace, report or progress.default())
            earlier = workspace.find(Run, job.run_id)
            is_done = earlier is not None and not earlier.interrupted
            checkpoint = checkpoints.find(job.run_id, workspace) if resume and not is_done else None
            return _Beginning(replace(job, group=group), is_done, checkpoint)

        with workspace.lock() if group.is_first else contextlib.nullcontext():
            return _together(group, workspace, begin, resume, clock)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What is to be trained, and from where on."""

    job: Job
    is_done: bool  # the run is there already
    checkpoint: Checkpoint | None


class _Order(Record):
    """The same, as the first process tells it to the others."""

    run_id: str
    dataset_id: str
    settings: TrainConfig
    weights_sha256: str
    is_done: bool
    is_resumed: bool


def _together(
    group: Group, workspace: Workspace, begin: Callable[[], _Beginning], is_resumed: bool, clock: Clock | None
) -> Run:
    """The run, in every process of the group; the first one decides by `begin` what it is."""
    with terminable(), losses_told(group):
        begun: list[_Beginning] = []

        def order() -> str:
            begun.append(begin())
            return _order_of(begun[0]).model_dump_json()

        ordered = group.from_first(order)
        beginning = begun[0] if begun else _joining(_Order.model_validate_json(ordered), workspace, group)
        if beginning.is_done:
            return workspace.load(Run, beginning.job.run_id)
        if is_resumed and beginning.checkpoint is None:
            _warn_of_another(workspace)
        so_far = checkpoints.load(beginning.checkpoint, workspace, group) if beginning.checkpoint else Progress()
        group.wait()  # until all have read what the first may soon replace
        if not group.is_first:
            return _help(beginning.job, so_far)
        job = beginning.job
        checkpoint = beginning.checkpoint or checkpoints.begin(job.run_id, job.dataset.id, job.config, workspace, group)
        return _train(job, checkpoint, so_far, clock)


def _order_of(begun: _Beginning) -> _Order:
    job = begun.job
    return _Order(
        run_id=job.run_id,
        dataset_id=job.dataset.id,
        settings=job.config,
        weights_sha256=job.source.sha256,
        is_done=begun.is_done,
        is_resumed=begun.checkpoint is not None,
    )


def _joining(order: _Order, workspace: Workspace, group: Group) -> _Beginning:
    """As in the first process. Raises ProductError where this one has other weights or no such dataset."""
    dataset, source = workspace.load(Dataset, order.dataset_id), locate(order.settings)
    if source.sha256 != order.weights_sha256:
        raise ProductError(
            f"Process {group.rank} would begin with other weights than the first",
            where=source.path,
            remedy="Put the same file on every machine.",
        )
    job = Job(order.run_id, dataset, order.settings, source, workspace, progress.silent, group)
    return _Beginning(job, order.is_done, checkpoints.find(order.run_id, workspace) if order.is_resumed else None)


def _help(job: Job, so_far: Progress) -> Run:
    """What the other processes do: their part of what is computed once, and of every batch."""
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=bool(so_far.history))
    if job.config.mode != "transfer":
        collections.deque(fit(pupil.module, *pupil.batches, job.plan, so_far, pupil.accelerator), maxlen=0)
    return job.group.product(Run, job.workspace)


def _warn_of_another(workspace: Workspace) -> None:
    if (other := checkpoints.latest(workspace)) is not None:
        _LOG.warning(
            "The last checkpoint is of a training with other settings, run %s: this one begins from the start. "
            "To go on with that one: fledged train --resume, and nothing else",
            other.run_id,
        )


def _train(job: Job, checkpoint: Checkpoint, so_far: Progress, clock: Clock | None) -> Run:
    meter, saved_s, group = Meter(), monotonic(), job.group
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=bool(so_far.history))
    stopped: KeyboardInterrupt | None = None
    try:
        with tracking.tracked(job, pupil.module, so_far) as track:
            for reached in fit(pupil.module, *pupil.batches, job.plan, so_far, pupil.accelerator):
                so_far = reached
                track(so_far)
                job.report("Training epochs", len(so_far.history), job.config.epochs)
                if monotonic() - saved_s > _CHECKPOINT_EVERY_S and len(so_far.history) < job.config.epochs:
                    checkpoints.save(so_far, checkpoint, job.workspace, group)
                    saved_s = monotonic()
                if clock is not None and _is_time_up(clock, so_far, job.config.epochs):
                    raise KeyboardInterrupt
    except (KeyboardInterrupt, RuntimeError) as interrupt:
        is_lost = isinstance(interrupt, RuntimeError) or (group.size > 1 and isinstance(interrupt, Terminated))
        if so_far.history and (group.size > 1 or not is_lost):
            with undisturbed():
                checkpoints.save(so_far, checkpoint, job.workspace, group)
        if is_lost or not so_far.history:
            raise
        stopped = interrupt
    pupil.module.load_state_dict(so_far.best)  # which shares its weights with the model
    if stopped is not None:
        run = run_files.save(job, model, backbone, so_far, True, meter)
        if isinstance(stopped, Terminated):
            raise stopped
        return run
    run = group.product(Run, job.workspace, lambda: run_files.save(job, model, backbone, so_far, False, meter))
    job.report("Training epochs", run.n_epochs, run.n_epochs)  # also where it was over early
    checkpoints.remove(job.run_id, job.workspace)
    return run


def _is_time_up(clock: Clock, so_far: Progress, n_epochs: int) -> bool:
    """Whether another epoch, as long as the longest of the last ones, would be over too late."""
    n_done = len(so_far.history)
    next_s = max(epoch.seconds for epoch in so_far.history[-3:])
    if n_done >= n_epochs or clock.left_s(LAST_SHARE) > next_s + SAVE_S:
        return False
    _LOG.warning("The time is up after %d of %d epochs. For the others: fledged train --resume", n_done, n_epochs)
    return True
