"""The door: a Dataset becomes a Run."""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import os
from collections.abc import Mapping
from time import monotonic

from fledged import progress
from fledged.config import resolve
from fledged.engine import Engine, engine_of
from fledged.errors import ConfigError, FledgedError, TrainingError
from fledged.fitting import allocator
from fledged.fitting.epochs import Progress
from fledged.fitting.loop import fit
from fledged.fitting.processes import Group, LostProcess, joined, losses_told
from fledged.fitting.refusals import Diverged
from fledged.fitting.stopping import AGAIN, RESUME, Terminated, terminable, undisturbed
from fledged.metering import Meter
from fledged.products import Dataset, Run
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints, run_files, tracking
from fledged.training.beginning import Asked, begin
from fledged.training.budget import Clock, Timing, seconds_of
from fledged.training.checkpoints import Checkpoint
from fledged.training.gradual import run_stages
from fledged.training.job import Job, pupil_of, untrained
from fledged.training.telling import teller, within
from fledged.workspace import DEFAULT, Workspace

_LOG = logging.getLogger("fledged")

_CHECKPOINT_EVERY_S = 10.0
_TIME_IS_UP = "The time is up after %d of %d epochs. For the others: fledged train --resume"
_NO_TIME = "Take several processes without it, and say --epochs."


@allocator.kept()
def train(
    dataset: Dataset | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    resume: bool = False,
    time: str | None = None,
    engine: Mapping[str, object] | None = None,
    **settings: object,
) -> Run:
    """A classifier for the dataset's classes, of the epoch that does best in validation; test is not touched.

    Ctrl-C keeps the best epoch so far; so does SIGTERM, which then ends the process with exit code 0. `resume` goes on
    from the last checkpoint; without settings, with those of then. `time`, such as 90s, 10m or 1h30m, is kept to:
    what was not said of blocks, views and epochs is chosen to fit, and an epoch that would be too many is not begun.
    In a process that torchrun, accelerate or Ray started with others, it is trained in all of them together, and each
    returns the run. With `engine`, {"name": "ray", "address": …}, and `processes.workers`, Ray starts them.
    Otherwise `engine` (fields of `config.EngineConfig`) says where features and activations of frozen blocks are
    computed. `settings` are the fields of `config.TrainConfig`. Raises LostProcess where another process is gone.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    asked = Asked(
        dataset,
        resolve(TrainConfig, given),
        Workspace(work),
        report or progress.default(),
        resume,
        is_latest=resume and not given and dataset is None,
        clock=Clock(seconds_of(time)) if time else None,
        on=engine_of(engine),
    )
    return _trained(asked, work, given)


def _trained(asked: Asked, work: str | os.PathLike[str], given: dict[str, object]) -> Run:
    """The run, or the best of the stages of gradual unfreezing; `given` are the settings that were said."""
    tracking.require(asked.config.track)
    with joined() as group, losses_told(group):
        if asked.clock is not None and (group.size > 1 or not asked.on.is_here):
            raise ConfigError(
                "What fits into a time is measured on this machine alone", where="--time", remedy=_NO_TIME
            )
        if group.engine == "local" and (shared := _for_ray(asked)) is not None:
            from fledged.training.on_ray import train_on_ray

            return train_on_ray(shared)
        # A process that waits for others, before they train, would not hear of the signal.
        with terminable(AGAIN) if group.size == 1 else contextlib.nullcontext():
            if asked.config.mode == "gradual" and asked.clock is None:
                stage, plan = functools.partial(_stage, on=asked.on), asked.config.gradual
                # All stages learn from the same photos, also where another command makes a dataset between two.
                dataset = group.product(Dataset, asked.workspace, lambda: _dataset_of(asked))
                told = run_stages(stage, dataset, given, plan, work, asked.report)
                return group.product(Run, asked.workspace, lambda: run_files.tell_stages(told, asked.workspace))
            with asked.workspace.lock() if group.is_first else contextlib.nullcontext():
                return _together(asked, group)


def _dataset_of(asked: Asked) -> Dataset:
    given = asked.dataset
    return given if isinstance(given, Dataset) else asked.workspace.load(Dataset, given)


def _stage(
    dataset: Dataset | str | None,
    *,
    work: str | os.PathLike[str],
    report: progress.Report,
    on: Engine,
    **settings: object,
) -> Run:
    """A stage of gradual unfreezing: found where it is there already, and gone on with where it was stopped."""
    config = resolve(TrainConfig, settings)
    asked = Asked(dataset, config, Workspace(work), report, True, is_latest=False, clock=None, on=on, is_stage=True)
    return _trained(asked, work, settings)


def _for_ray(asked: Asked) -> Asked | None:
    """What several processes are to be started for; None where it is this process alone."""
    if asked.on.is_here:
        if asked.config.processes.workers > 1:
            raise ConfigError(
                "Somebody has to start the other processes",
                where="train.processes.workers",
                remedy="Add --engine ray, or start fledged with torchrun.",
            )
        return None
    settled = asked.settled()
    return settled if settled.config.processes.workers > 1 else None


def _together(asked: Asked, group: Group) -> Run:
    """The run, in every process of the group."""
    begun = begin(asked, group)
    job = begun.job
    if begun.is_done:
        return job.workspace.load(Run, job.run_id)
    so_far = checkpoints.load(begun.checkpoint, job.workspace, group) if begun.checkpoint else Progress()
    group.wait()  # until all have read what the first may soon replace
    # Resumed, a stage would be the last of its plan.
    words = AGAIN if asked.is_stage else RESUME
    if not group.is_first:
        with terminable(words), losses_told(group):
            return _help(job, so_far)
    named = (job.run_id, job.dataset.id, job.config, job.workspace, group)
    checkpoint = begun.checkpoint or checkpoints.begin(*named, is_stage=asked.is_stage)
    try:
        with terminable(words), losses_told(group):
            return _train(job, checkpoint, so_far, begun.timing)
    except LostProcess:
        raise
    except FledgedError:
        # What cannot even begin is nothing to go on with, and must not stand before what is.
        checkpoints.remove_unbegun(job.run_id, job.workspace)
        raise


def _help(job: Job, so_far: Progress) -> Run:
    """What the other processes do: their part of what is computed once, and of every batch."""
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=bool(so_far.history))
    if job.config.mode != "transfer":
        try:
            collections.deque(fit(pupil.module, *pupil.batches, job.plan, so_far, pupil.accelerator), maxlen=0)
        except Diverged:
            job.group.wait()  # a launcher ends all of them when one ends, and the first keeps what was good before
            raise
    return job.group.product(Run, job.workspace)


def _train(job: Job, checkpoint: Checkpoint, so_far: Progress, timing: Timing | None) -> Run:
    meter, saved_s, group = Meter(), monotonic(), job.group
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=bool(so_far.history))
    tell = teller(job.dataset, job.config.epochs, job.report)
    told = within(job.config.epochs, -(-pupil.batches[0].per_epoch // job.plan.optimize.accumulate), job.report)
    job.report("Training epochs", len(so_far.history), job.config.epochs)
    stopped: KeyboardInterrupt | None = None
    try:
        with tracking.tracked(job, pupil.module, so_far) as track:
            for reached in fit(pupil.module, *pupil.batches, job.plan, so_far, pupil.accelerator, told):
                so_far = reached
                track(so_far)
                tell(so_far.history)
                job.report("Training epochs", len(so_far.history), job.config.epochs)
                if monotonic() - saved_s > _CHECKPOINT_EVERY_S:
                    checkpoints.save(so_far, checkpoint, job.workspace, group)
                    saved_s = monotonic()
                epochs_s = [epoch.seconds for epoch in so_far.history]
                if timing is not None and len(epochs_s) < job.config.epochs and timing.is_up(epochs_s):
                    _LOG.warning(_TIME_IS_UP, len(epochs_s), job.config.epochs)
                    raise KeyboardInterrupt
    except Diverged as error:
        words = error.what
        with undisturbed():
            if so_far.history:
                pupil.module.load_state_dict(so_far.best)
                run = run_files.save(job, model, backbone, so_far, True, meter)
                words += f"; run {run.id} has what was best before, epoch {run.best_epoch}"
            checkpoints.remove(job.run_id, job.workspace)  # going on would diverge again
        group.wait()
        raise Diverged(words, remedy=error.remedy) from error
    except (KeyboardInterrupt, RuntimeError, TrainingError) as interrupt:
        is_lost = isinstance(interrupt, RuntimeError) or (group.size > 1 and isinstance(interrupt, Terminated))
        if so_far.history and (group.size > 1 or not is_lost):
            with undisturbed():
                checkpoints.save(so_far, checkpoint, job.workspace, group)
        if is_lost or not so_far.history or not isinstance(interrupt, KeyboardInterrupt):
            raise
        stopped = interrupt
    pupil.module.load_state_dict(so_far.best)  # which shares its weights with the model
    if stopped is not None:
        run = run_files.save(job, model, backbone, so_far, True, meter)
        if isinstance(stopped, Terminated):
            raise stopped
        return run
    ended_s = monotonic()
    run = group.product(Run, job.workspace, lambda: run_files.save(job, model, backbone, so_far, False, meter))
    epochs_s = [epoch.seconds for epoch in so_far.history]
    if timing is not None and (why := timing.why_early(epochs_s, job.config.epochs, monotonic() - ended_s)):
        _LOG.info(why)
    job.report("Training epochs", run.n_epochs, run.n_epochs)  # also where it was over early
    checkpoints.remove(job.run_id, job.workspace)
    return run
