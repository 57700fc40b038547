"""What is asked for, and from where on it is trained: decided in one process, and told to those that train with it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from fledged import progress
from fledged.engine import LOCAL, Engine
from fledged.errors import ConfigError, ProductError
from fledged.fitting.processes import Group
from fledged.networks.weights import locate
from fledged.products import Dataset, Run
from fledged.records import Record
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints, probe
from fledged.training.budget import Clock, Timing
from fledged.training.checkpoints import Checkpoint
from fledged.training.concrete import remarks
from fledged.training.job import Job, job_of
from fledged.training.timed import timed_job
from fledged.workspace import Workspace

_LOG = logging.getLogger("fledged")

_RESUME = "To go on for as long: fledged train --resume --time T, and nothing else."

_STAGE = (
    "This is one stage of gradual unfreezing. To go on with all of them, run the same command as then, not this one."
)

_OLDER = "Going on with the photos of dataset %s. To train on the newest, %s, run it without --resume."


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of the caller."""

    dataset: Dataset | str | None
    config: TrainConfig
    workspace: Workspace
    report: progress.Report
    resume: bool
    is_latest: bool  # nothing was said but to go on with the last training
    clock: Clock | None
    on: Engine = LOCAL
    is_stage: bool = False  # of gradual unfreezing

    def settled(self) -> Asked:
        """The same, with the dataset and the settings of the last training where that is what was asked for."""
        if not self.is_latest:
            return self
        last = checkpoints.latest(self.workspace)
        if last is None:
            last = checkpoints.stopped(self.workspace)
            if last is None:
                raise ProductError(
                    "There is no checkpoint to resume from", where=self.workspace.root, remedy="Run: fledged train"
                )
            _LOG.info(
                "The last training is complete, or never began. Going on with run %s, stopped after %d of %d epochs",
                *(last.run_id, len(last.history), last.settings.epochs),
            )
        if last.is_stage:
            _LOG.info(_STAGE)
        newest = self.workspace.newest(Dataset)
        if newest is not None and newest.name != last.dataset_id:
            _LOG.info(_OLDER, last.dataset_id, newest.name)
        return replace(self, dataset=last.dataset_id, config=last.settings)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is to be trained, and from where on."""

    job: Job
    is_done: bool  # the run is there already
    checkpoint: Checkpoint | None
    timing: Timing | None = None  # where a time is to be kept to


class _Order(Record):
    """The same, as the first process tells it to the others."""

    run_id: str
    dataset_id: str
    settings: TrainConfig
    weights_sha256: str
    is_done: bool
    is_resumed: bool


def begin(asked: Asked, group: Group) -> Beginning:
    """In every process of the group; the first one decides.

    Raises ProductError where another process has other starting weights, or no such dataset.
    """
    decided: list[Beginning] = []

    def order() -> str:
        decided.append(_decide(asked, group))
        job = decided[0].job
        return _Order(
            run_id=job.run_id,
            dataset_id=job.dataset.id,
            settings=job.config,
            weights_sha256=job.source.sha256,
            is_done=decided[0].is_done,
            is_resumed=decided[0].checkpoint is not None,
        ).model_dump_json()

    told = group.from_first(order)
    return decided[0] if decided else _joining(_Order.model_validate_json(told), asked.workspace, group)


def _decide(asked: Asked, group: Group) -> Beginning:
    workspace, settled, timing = asked.workspace, asked.settled(), None
    if settled is not asked or asked.clock is None:
        job = job_of(settled.dataset, settled.config, workspace, asked.report, asked.on)
        if asked.clock is not None:
            end_s = probe.closing_s(job, probe.opened(job), probe.PART_S, asked.clock)
            timing = Timing(asked.clock, end_s)
    elif asked.resume:
        raise ConfigError("What is resumed was planned before", where="--time", remedy=_RESUME)
    else:
        job, timing = timed_job(asked.dataset, asked.config, asked.clock, workspace, asked.report)
    for remark in remarks(settled.config, job.config):
        _LOG.warning(remark)
    earlier = workspace.find(Run, job.run_id)
    is_done = earlier is not None and not earlier.interrupted
    checkpoints.remove_of_finished(workspace)
    checkpoint = checkpoints.find(job.run_id, workspace) if asked.resume and not is_done else None
    is_missed = asked.resume and not (asked.is_stage or is_done or checkpoint is not None)
    if is_missed and (other := checkpoints.latest(workspace)) is not None:
        _LOG.warning(
            "The last checkpoint is of a training with other settings, run %s: this one begins from the start. "
            "To go on with that one: fledged train --resume, and nothing else",
            other.run_id,
        )
    return Beginning(replace(job, group=group), is_done, checkpoint, timing)


def _joining(order: _Order, workspace: Workspace, group: Group) -> Beginning:
    """As in the first process."""
    dataset, source = workspace.load(Dataset, order.dataset_id), locate(order.settings)
    if source.sha256 != order.weights_sha256:
        raise ProductError(
            f"Process {group.rank} would begin with other weights than the first",
            where=source.path,
            remedy="Put the same file on every machine.",
        )
    job = Job(order.run_id, dataset, order.settings, source, workspace, progress.silent, group)
    return Beginning(job, order.is_done, checkpoints.find(order.run_id, workspace) if order.is_resumed else None)
