"""Figures of a training for TensorBoard, W&B and MLflow, while it runs, by the trackers of accelerate.

All of it stays below the working folder and on this machine, unless the user's own environment says otherwise. What
a tracker does changes no weight: it sees figures and copies. One that fails is told of once, and training goes on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.tracking import GeneralTracker, MLflowTracker, TensorBoardTracker, WandBTracker
from torch import nn

from fledged.augmenting.before_after import sheet_of
from fledged.errors import MissingExtra
from fledged.fitting.epochs import Epoch, Progress
from fledged.settings.training import TrackConfig
from fledged.training.job import Job
from fledged.training.unusual import flat

_LOG = logging.getLogger("fledged")

_MLFLOW_BATCH = 400  # steps; the protocol takes 1,000 figures at a time


@dataclass(frozen=True, slots=True)
class News:
    """What an epoch brings."""

    epoch: Epoch
    steps: list[tuple[int, dict[str, float]]]  # the number of each, and its figures
    weights: dict[str, np.ndarray[Any, np.dtype[np.float32]]]  # that are trained

    @property
    def at(self) -> int:
        """The step that it ended with."""
        return self.steps[-1][0]

    @property
    def figures(self) -> dict[str, float]:
        """Of the epoch."""
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
        return {f"epoch/{name}": getattr(self.epoch, name) for name in names} | {"epoch/number": self.epoch.epoch}


def require(track: TrackConfig) -> None:
    """Raises MissingExtra if the package of a tracker is not installed: before hours of training, not after."""
    for package in track.to:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("track", package)


@contextlib.contextmanager
def tracked(job: Job, trained: nn.Module, so_far: Progress) -> Iterator[Callable[[Progress], None]]:
    """In here what is called with the Progress after each epoch passes on what is new in it.

    accelerate must have been set up before.
    """
    live: dict[str, GeneralTracker] = {}
    told = len(so_far.steps)
    names = [name for name, parameter in trained.named_parameters() if parameter.requires_grad]
    with contextlib.ExitStack() as stack:
        for name in dict.fromkeys(job.config.track.to):
            with _going_on(name, live):
                folder = job.workspace.root.absolute() / "tracking"
                live[name] = _BEGIN[name](job, folder, told, stack)
                live[name].start()
        if not told:
            _each(live, lambda name, tracker: _BEFORE[name](tracker, job))

        def track(progress: Progress) -> None:
            nonlocal told
            if live:
                news = _news(progress, told, names)
                _each(live, lambda name, tracker: _PASS[name](tracker, news))
            told = len(progress.steps)

        try:
            yield track
        finally:
            _each(live, lambda _, tracker: tracker.finish())


def _each(live: dict[str, GeneralTracker], do: Callable[[str, GeneralTracker], None]) -> None:
    for name, tracker in list(live.items()):
        with _going_on(name, live):
            do(name, tracker)


@contextlib.contextmanager
def _going_on(name: str, live: dict[str, GeneralTracker]) -> Iterator[None]:
    """A tracker that fails in here is told of and left alone from now on."""
    try:
        yield
    except Exception as error:  # whatever it is, hours of training are worth more
        why = " ".join(str(error).split())[:300]
        _LOG.warning(
            "%s failed and is left out from now on; training goes on (%s: %s)", name, type(error).__name__, why
        )
        with contextlib.suppress(Exception):
            live.pop(name).finish()


def _news(progress: Progress, told: int, names: list[str]) -> News:
    rows = progress.steps[told:].tolist()
    steps = [
        (number, {"step/loss": loss, "step/learning_rate": rate})
        for number, (_, loss, rate) in enumerate(rows, start=told + 1)
    ]
    weights = {name: progress.model[name].detach().float().cpu().numpy() for name in names}
    return News(progress.history[-1], steps, weights)


# TensorBoard


def _begin_tensorboard(job: Job, folder: Path, told: int, stack: contextlib.ExitStack) -> GeneralTracker:
    # What a killed training wrote beyond its checkpoint is computed again, and shown once.
    return TensorBoardTracker(job.run_id, folder / "tensorboard", purge_step=told + 1 if told else 0)


def _before_tensorboard(tracker: GeneralTracker, job: Job) -> None:
    tracker.log({"settings": _as_text(_settings(job))}, step=0)
    sheet = np.asarray(sheet_of(job.dataset, job.config))
    tracker.log_images({"augmented": sheet[None]}, step=0, dataformats="NHWC")


def _pass_tensorboard(tracker: GeneralTracker, news: News) -> None:
    for number, figures in news.steps:
        tracker.log(figures, step=number)
    for name, values in news.weights.items():
        tracker.tracker.add_histogram(f"weights/{name}", values, news.at)
    tracker.log(news.figures, step=news.at)


def _as_text(settings: dict[str, str]) -> str:
    """Markdown."""
    return "\n".join(f"    {name} = {value}" for name, value in settings.items())


# W&B


def _begin_wandb(job: Job, folder: Path, told: int, stack: contextlib.ExitStack) -> GeneralTracker:
    folder.mkdir(parents=True, exist_ok=True)
    stack.enter_context(_environment(WANDB_CACHE_DIR=str(folder / "wandb" / "cache"), WANDB_SILENT="true"))
    import wandb

    quiet = wandb.Settings(console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True)
    return WandBTracker(
        job.config.track.project,
        id=job.run_id,
        resume="allow",
        dir=str(folder),
        mode=os.environ.get("WANDB_MODE", "offline"),
        settings=quiet,
    )


def _before_wandb(tracker: GeneralTracker, job: Job) -> None:
    tracker.store_init_configuration(_settings(job))
    tracker.log_images({"augmented": [sheet_of(job.dataset, job.config)]}, step=0)


def _pass_wandb(tracker: GeneralTracker, news: News) -> None:
    import wandb

    *before, (last, figures) = news.steps
    for number, of_step in before:
        tracker.log(of_step, step=number)
    counts = {name: np.histogram(values, bins=64) for name, values in news.weights.items()}
    histograms = {f"weights/{name}": wandb.Histogram(np_histogram=of) for name, of in counts.items()}
    tracker.log(figures | news.figures | histograms, step=last)


# MLflow


def _begin_mlflow(job: Job, folder: Path, told: int, stack: contextlib.ExitStack) -> GeneralTracker:
    # Without a database driver there are files, which MLflow wants to be asked for. It sends no word home. A server
    # that is away is given up after seconds, not minutes.
    asked = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}
    patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    stack.enter_context(_environment(**asked, **patience))
    is_local = "MLFLOW_TRACKING_URI" not in os.environ
    import mlflow

    if is_local:
        mlflow.set_tracking_uri((folder / "mlflow").as_uri())
        # It sets the variable as well, which the next training would take for the user's.
        stack.callback(mlflow.set_tracking_uri, None)  # type: ignore[arg-type]
    return MLflowTracker(job.config.track.project, run_name=job.run_id, tags={"fledged.run_id": job.run_id})


def _before_mlflow(tracker: GeneralTracker, job: Job) -> None:
    import mlflow

    tracker.store_init_configuration(_settings(job))
    mlflow.log_image(sheet_of(job.dataset, job.config), "augmented.png")


def _pass_mlflow(tracker: GeneralTracker, news: News) -> None:
    import mlflow
    from mlflow.entities import Metric

    # By accelerate's tracker each step would be a request of its own.
    client, run_id = mlflow.MlflowClient(), tracker.tracker.info.run_id
    for start in range(0, len(news.steps), _MLFLOW_BATCH):
        steps = news.steps[start : start + _MLFLOW_BATCH]
        metrics = [Metric(name, value, 0, number) for number, figures in steps for name, value in figures.items()]
        client.log_batch(run_id, metrics=metrics)
    tracker.log(news.figures, step=news.at)


_BEGIN = {"tensorboard": _begin_tensorboard, "wandb": _begin_wandb, "mlflow": _begin_mlflow}
_BEFORE = {"tensorboard": _before_tensorboard, "wandb": _before_wandb, "mlflow": _before_mlflow}
_PASS = {"tensorboard": _pass_tensorboard, "wandb": _pass_wandb, "mlflow": _pass_mlflow}


def _settings(job: Job) -> dict[str, str]:
    return {"dataset": job.dataset.id, "run": job.run_id} | flat(job.config)


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """These variables where the user has not set them, and afterwards as it was."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
