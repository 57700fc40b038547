"""The door: settings of a training are searched for, on features or activations that are computed once.

A tree-structured Parzen estimator (J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011; Optuna's)
proposes; folds of train and val together judge, so that neither a small val decides alone nor test is opened.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import os
import time as clocks
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import tomli_w
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from fledged import progress
from fledged.config import overlaid, resolve
from fledged.errors import ConfigError, TrainingError
from fledged.fitting import allocator
from fledged.fitting.epochs import Progress
from fledged.fitting.loop import fit
from fledged.products import Dataset, Run
from fledged.records import Record
from fledged.searching.folds import folds_of
from fledged.searching.tuning import Trial, Tuning, nested
from fledged.settings.training import TrainConfig
from fledged.settings.tuning import TuneConfig
from fledged.training.budget import Clock, seconds_of
from fledged.training.concrete import identity
from fledged.training.job import Job, job_of, pupil_of, untrained
from fledged.workspace import DEFAULT, Workspace, product_id
from fledged.writing import make_folder, write_bytes

_LOG = logging.getLogger("fledged")

_OVER = (TrialState.COMPLETE, TrialState.PRUNED)
_JOURNAL = "journal.log"
_NOT_TOLD = {"track", "processes"}  # of settings: they change nothing of a run


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched, and on what."""

    job: Job  # with the usual settings
    asked: dict[str, object]
    folds: list[Dataset]

    def training(self, settings: Mapping[str, float | int]) -> Job:
        """The job with these settings in the place of the usual ones."""
        decided = {"backbone": self.job.config.backbone, "cache": {"engine": self.job.config.cache.engine}}
        given = overlaid(overlaid(self.asked, nested(settings)), decided)
        return job_of(self.job.dataset, resolve(TrainConfig, given), self.job.workspace, self.job.report)


@allocator.kept()
def tune(
    dataset: Dataset | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    train: Mapping[str, object] | None = None,
    time: str | None = None,
    **settings: object,
) -> Tuning:
    """The settings with which a head, or last blocks, do best on folds of train and val; test is not opened.

    `train` are fields of `config.TrainConfig`, of the training that it is for; `settings` those of `config.TuneConfig`.
    After `time` (90s, 10m, 1h30m) no trial is begun. Each trial is kept, so the same call goes on where it was stopped.
    """
    clock = Clock(seconds_of(time)) if time else None
    workspace, tuned = Workspace(work), resolve(TuneConfig, settings)
    asked = {
        name: value.model_dump(mode="json", exclude_unset=True) if isinstance(value, Record) else value
        for name, value in (train or {}).items()
        if value is not None
    }
    with workspace.lock():
        job = job_of(dataset, resolve(TrainConfig, asked), workspace, report or progress.default())
        if job.config.mode == "scratch" or job.config.unfreeze < 0:
            raise ConfigError(
                "Settings are searched for where frozen blocks are computed once: not for all blocks",
                where="fledged tune",
                remedy="Take --mode transfer or --unfreeze N.",
            )
        folds = folds_of(job.dataset, tuned.folds, tuned.seed, workspace)
        usual = identity(job.config)
        made_id = product_id(Run, "tuned", job.dataset.id, usual, job.source.sha256, tuned.folds, tuned.seed)
        folder = workspace.root / "tunings" / made_id
        make_folder(folder)
        study = _study(folder / _JOURNAL)
        interrupted = _search(study, Search(job, asked, folds), tuned, clock)
        done = Tuning(
            dataset_id=job.dataset.id,
            folder=str(folder),
            train=asked,
            n_folds=tuned.folds,
            trials=tuple(_told(trial) for trial in study.get_trials(states=_OVER)[: tuned.trials]),
            interrupted=interrupted,
        )
        # With what fledged.toml says: the file stands for itself.
        whole = resolve(TrainConfig, asked)
        given = whole.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude=_NOT_TOLD)
        if whole.weights:
            given["weights"] = str(Path(whole.weights).expanduser().resolve())
        best = overlaid(given, nested(done.best.settings))
        head = f"# The best of {len(done.trials)} trials. With this file: fledged train {done.dataset_id}\n\n"
        write_bytes(folder / "fledged.toml", (head + tomli_w.dumps({"train": best})).encode())
        workspace.share(folder)
        return done


def _study(journal: Path) -> optuna.Study:
    """The study whose trials are in the journal; those that were under way when a process was killed have failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The workspace's lock is held: who left this one, and a line without an end, is no more.
    Path(f"{journal}.lock").unlink(missing_ok=True)
    if journal.exists() and not (kept := journal.read_bytes()).endswith(b"\n"):
        write_bytes(journal, kept[: kept.rfind(b"\n") + 1])
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=journal.parent.name,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _search(study: optuna.Study, search: Search, tuned: TuneConfig, clock: Clock | None) -> bool:
    """Try what the sampler proposes, until there are enough trials or the time is over; whether it was stopped."""
    longest_s = 0.0
    while (n_over := len(study.get_trials(states=_OVER))) < tuned.trials:
        if clock is not None and n_over and clock.left_s() < longest_s:
            return True
        # Decided by the seed and the trials before it, so that a search that went on is the one that never stopped.
        study.sampler = optuna.samplers.TPESampler(seed=_seed(tuned.seed, n_over))
        if not n_over and not study.get_trials(states=(TrialState.WAITING,)):
            study.enqueue_trial(_usual(search.job))
        trial, start_s = study.ask(), clocks.monotonic()
        try:
            _try(study, trial, search)
        except KeyboardInterrupt:
            study.tell(trial, state=TrialState.FAIL)
            if not n_over:
                raise
            return True
        longest_s = max(longest_s, clocks.monotonic() - start_s)
        told = _told(study.trials[trial.number])
        loss = "given up" if told.val_loss is None else f"validation loss {told.val_loss:.4f}"
        _LOG.info("Trial %d of %d: %s", n_over + 1, tuned.trials, loss)
        search.job.report("Trials", n_over + 1, tuned.trials)
    return False


def _seed(seed: int, n_over: int) -> int:
    return int(hashlib.sha256(f"{seed} {n_over}".encode()).hexdigest()[:8], 16)


def _usual(job: Job) -> dict[str, float | int]:
    """What is searched for, as it is without a search."""
    config, plan = job.config, job.plan
    return {
        "learning_rate": plan.learning_rate,
        **({"optimize.weight_decay": decay} if (decay := plan.optimize.weight_decay) else {}),
        "loss.label_smoothing": config.loss.label_smoothing,
        "head.dropout": config.head.dropout,
        "head.hidden": config.head.hidden,
        **({"views": config.views} if config.views > 1 else {}),
    }


def _proposed(trial: optuna.Trial, job: Job) -> dict[str, float | int]:
    """Settings within a factor of the usual ones, in three digits, so that they are the same when they are typed."""
    config, rate = job.config, job.plan.learning_rate
    settings: dict[str, Any] = {
        "learning_rate": trial.suggest_float("learning_rate", rate / 30, rate * 10, log=True),
        "loss.label_smoothing": trial.suggest_float("loss.label_smoothing", 0.0, max(0.2, config.loss.label_smoothing)),
        "head.dropout": trial.suggest_float("head.dropout", 0.0, max(0.5, config.head.dropout)),
    }
    if middle := job.plan.optimize.weight_decay:  # none stays none
        decays = (middle / 100, min(10.0, middle * 10))
        settings["optimize.weight_decay"] = trial.suggest_float("optimize.weight_decay", *decays, log=True)
    settings = {name: float(f"{value:.3g}") for name, value in settings.items()}
    hidden = sorted({0, 256, config.head.hidden})
    settings["head.hidden"] = trial.suggest_categorical("head.hidden", hidden)
    if config.views > 1:
        settings["views"] = trial.suggest_categorical("views", (1, config.views))
    return settings


def _try(study: optuna.Study, trial: optuna.Trial, search: Search) -> None:
    """Train on each fold; a trial that is worse than most after some of them is given up."""
    settings = _proposed(trial, search.job)
    trial.set_user_attr("settings", settings)
    job = search.training(settings)
    total, n_photos = 0.0, 0
    network = untrained(job)
    for number, fold in enumerate(search.folds):
        of_fold = replace(job, dataset=fold)
        backbone, model = copy.deepcopy(network)
        try:
            pupil = pupil_of(of_fold, of_fold.plan, backbone, model, has_begun=False)
            *_, last = fit(pupil.module, *pupil.batches, of_fold.plan, Progress(), pupil.accelerator)
        except TrainingError:
            study.tell(trial, state=TrialState.PRUNED)
            return
        total += last.best_epoch.val_loss * fold.n_in("val")
        n_photos += fold.n_in("val")
        trial.report(total / n_photos, number)
        if number + 1 < len(search.folds) and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
    study.tell(trial, total / n_photos)


def _told(trial: FrozenTrial) -> Trial:
    return Trial(
        settings=trial.user_attrs["settings"],
        val_loss=trial.value if trial.state == TrialState.COMPLETE else None,
        seconds=trial.duration.total_seconds() if trial.duration else 0.0,
    )
