"""The door: a Dataset becomes a Run."""

from __future__ import annotations

import functools
import logging
import os
import time

from fledged import progress
from fledged.config import resolve
from fledged.errors import ProductError
from fledged.products import Dataset, Run
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints, run_files, tracking
from fledged.training.checkpoints import Checkpoint
from fledged.training.gradual import run_stages
from fledged.training.job import Job, job_of, pupil_of, untrained
from fledged.training.loop import Progress, fit
from fledged.training.stopping import Terminated, terminable
from fledged.workspace import DEFAULT, Workspace

_LOG = logging.getLogger("fledged")

_CHECKPOINT_EVERY_S = 10.0


def train(
    dataset: Dataset | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    resume: bool = False,
    **settings: object,
) -> Run:
    """A classifier for the dataset's classes, of the epoch with the lowest validation loss; test is not touched.

    Ctrl-C keeps the best epoch so far; so does SIGTERM, which then ends the process with exit code 0. `resume` goes on
    from the last checkpoint; without settings, with those of then. `settings` are the fields of `config.TrainConfig`.
    """
    workspace = Workspace(work)
    given = {name: value for name, value in settings.items() if value is not None}
    asked = resolve(TrainConfig, given)
    tracking.require(asked.track)
    if asked.mode == "gradual":
        # Stages that are there already are found, and one that was stopped goes on where it was.
        stage = functools.partial(train, resume=True)
        return run_files.tell_stages(run_stages(stage, dataset, given, asked.gradual, work, report), workspace)
    with workspace.lock():
        last = checkpoints.latest(workspace) if resume and not given and dataset is None else None
        if resume and not given and dataset is None and last is None:
            raise ProductError(
                "There is no checkpoint to resume from", where=workspace.root, remedy="Run: fledged train"
            )
        config = last.settings if last else asked
        job = job_of(last.dataset_id if last else dataset, config, workspace, report or progress.default())
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
            return _train(job, checkpoint, so_far)


def _train(job: Job, checkpoint: Checkpoint, so_far: Progress) -> Run:
    start_s = saved_s = time.monotonic()
    backbone, model = untrained(job)
    pupil = pupil_of(job, job.plan, backbone, model, has_begun=bool(so_far.history))
    stopped: KeyboardInterrupt | None = None
    try:
        with tracking.tracked(job, pupil.module, so_far) as track:
            for reached in fit(pupil.module, *pupil.batches, job.plan, so_far, pupil.accelerator):
                so_far = reached
                track(so_far)
                job.report("Training epochs", len(so_far.history), job.config.epochs)
                if time.monotonic() - saved_s > _CHECKPOINT_EVERY_S and len(so_far.history) < job.config.epochs:
                    checkpoints.save(so_far, checkpoint, job.workspace)
                    saved_s = time.monotonic()
    except KeyboardInterrupt as interrupt:
        if not so_far.history:
            raise
        checkpoints.save(so_far, checkpoint, job.workspace)
        stopped = interrupt
    pupil.module.load_state_dict(so_far.best)  # which shares its weights with the model
    run = run_files.save(job, model, backbone, so_far, stopped is not None, time.monotonic() - start_s)
    if isinstance(stopped, Terminated):
        raise stopped
    if stopped is None:
        job.report("Training epochs", run.n_epochs, run.n_epochs)  # also where it was over early
        checkpoints.remove(job.run_id, job.workspace)
    return run
