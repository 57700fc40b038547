"""The door: a Dataset becomes a Run."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from time import monotonic

from fledged import progress
from fledged.config import resolve
from fledged.engine import engine_of
from fledged.errors import ConfigError, ProductError
from fledged.metering import Meter
from fledged.products import Dataset, Run
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints, run_files, tracking
from fledged.training.budget import LAST_SHARE, Clock, seconds_of
from fledged.training.checkpoints import Checkpoint
from fledged.training.gradual import run_stages
from fledged.training.job import Job, job_of, pupil_of, untrained
from fledged.training.loop import Progress, fit
from fledged.training.probe import SAVE_S
from fledged.training.stopping import Terminated, terminable
from fledged.training.timed import timed_job
from fledged.workspace import DEFAULT, Workspace

_LOG = logging.getLogger("fledged")

_CHECKPOINT_EVERY_S = 10.0
_RESUME = "To go on for as long: fledged train --resume --time T, and nothing else."


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
    """A classifier for the dataset's classes, of the epoch with the lowest validation loss; test is not touched.

    Ctrl-C keeps the best epoch so far; so does SIGTERM, which then ends the process with exit code 0. `resume` goes on
    from the last checkpoint; without settings, with those of then. `time`, such as 90s, 10m or 1h30m, is kept to:
    what was not said of blocks, views and epochs is chosen to fit, and an epoch that would be too many is not begun.
    `engine` (fields of `config.EngineConfig`) says where features and activations of frozen blocks are computed;
    `settings` are the fields of `config.TrainConfig`.
    """
    clock = Clock(seconds_of(time)) if time else None
    workspace = Workspace(work)
    given = {name: value for name, value in settings.items() if value is not None}
    asked = resolve(TrainConfig, given)
    tracking.require(asked.track)
    on = engine_of(engine)
    if clock is not None and not on.is_here:
        raise ConfigError(
            "A time is planned by the speed of this machine alone", where="--time", remedy="Take --engine local."
        )
    if asked.mode == "gradual" and clock is None:
        # Stages that are there already are found, and one that was stopped goes on where it was.
        stage = functools.partial(train, resume=True, engine=engine)
        return run_files.tell_stages(run_stages(stage, dataset, given, asked.gradual, work, report), workspace)
    with workspace.lock():
        last = checkpoints.latest(workspace) if resume and not given and dataset is None else None
        if resume and not given and dataset is None and last is None:
            raise ProductError(
                "There is no checkpoint to resume from", where=workspace.root, remedy="Run: fledged train"
            )
        if last is not None or clock is None:
            config = last.settings if last else asked
            job = job_of(last.dataset_id if last else dataset, config, workspace, report or progress.default(), on)
        elif resume:
            raise ConfigError("What is resumed was planned before", where="--time", remedy=_RESUME)
        else:
            job = timed_job(dataset, asked, clock, workspace, report or progress.default())
        earlier = workspace.find(Run, job.run_id)
        if earlier is not None and not earlier.interrupted:
            return earlier
        checkpoint = checkpoints.find(job.run_id, workspace) if resume else None
        if resume and checkpoint is None and (other := checkpoints.latest(workspace)) is not None:
            _LOG.warning(
                "The last checkpoint is of a training with other settings, run %s: this one begins from the start. "
                "To go on with that one: fledged train --resume, and nothing else",
                other.run_id,
            )
        so_far = checkpoints.load(checkpoint, workspace) if checkpoint else Progress()
        with terminable():
            checkpoint = checkpoint or checkpoints.begin(job.run_id, job.dataset.id, job.config, workspace)
            return _train(job, checkpoint, so_far, clock)


def _train(job: Job, checkpoint: Checkpoint, so_far: Progress, clock: Clock | None) -> Run:
    meter, saved_s = Meter(), monotonic()
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
                    checkpoints.save(so_far, checkpoint, job.workspace)
                    saved_s = monotonic()
                if clock is not None and _is_time_up(clock, so_far, job.config.epochs):
                    raise KeyboardInterrupt
    except KeyboardInterrupt as interrupt:
        if not so_far.history:
            raise
        checkpoints.save(so_far, checkpoint, job.workspace)
        stopped = interrupt
    pupil.module.load_state_dict(so_far.best)  # which shares its weights with the model
    run = run_files.save(job, model, backbone, so_far, stopped is not None, meter)
    if isinstance(stopped, Terminated):
        raise stopped
    if stopped is None:
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
