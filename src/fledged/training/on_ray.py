"""A training on the machines of a Ray cluster: Ray Train starts the processes, and starts them again where one is lost.

What they run is `train` itself, once in each, joined as `torchrun` would join them. Checkpoints are fledged's own, in
the working folder, which all machines need to see: whatever is killed, the next attempt goes on from the last of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fledged import errors, progress
from fledged.errors import ConfigError, FledgedError, ProductError, TrainingError
from fledged.fitting.processes import TIMEOUT, LostProcess
from fledged.products import Dataset, Run
from fledged.settings.training import TrainConfig
from fledged.spreading.ray_cluster import connected
from fledged.training import checkpoints
from fledged.training.beginning import Asked
from fledged.training.job import Job, job_of
from fledged.writing import write_bytes

_OUTCOME = "outcome.json"
_LOOK_EVERY_S = 2.0


def train_on_ray(asked: Asked) -> Run:
    """The run, trained by `processes.workers` processes of a Ray cluster.

    Raises EngineError where it does not answer, ConfigError where it is too small, and TrainingError where processes
    were lost more often than `processes.restarts`.
    """
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    workspace, config, dataset, job = asked.workspace, asked.config, asked.dataset, None
    if not isinstance(dataset, Dataset):
        dataset = workspace.load(Dataset, dataset)
    if config.mode != "gradual":  # which is several runs, that are found or resumed each by itself
        with workspace.lock():
            job = job_of(dataset, config, workspace, asked.report)
            earlier = workspace.find(Run, job.run_id)
            checkpoints.remove_of_finished(workspace)
            if earlier is not None and not earlier.interrupted:
                return earlier
            if not asked.resume:
                checkpoints.remove(job.run_id, workspace)
    settings = job.config if job else config
    folder = workspace.root.absolute() / "cache" / "ray" / secrets.token_hex(6)
    order = {
        "dataset": dataset.id,
        "work": str(workspace.root.absolute()),
        "settings": settings.model_dump(mode="json", exclude_unset=job is None),
        "outcome": str(folder / _OUTCOME),
    }
    try:
        connected(asked.on.settings)
        _refuse_if_small(settings)
        with _told(job, asked.report):
            _fit(order, settings, folder)
        _raise_outcome(folder / _OUTCOME)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return workspace.load(Run, job.run_id if job else None)


def _fit(order: dict[str, Any], config: TrainConfig, folder: Path) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    wanted = config.processes
    on_gpu = _resources().get("GPU", 0) >= wanted.workers
    trainer = TorchTrainer(
        _work,
        train_loop_config=order,
        torch_config=TorchConfig(
            backend="cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout_s=int(TIMEOUT.total_seconds())
        ),
        scaling_config=ScalingConfig(
            num_workers=wanted.workers,
            use_gpu=on_gpu,
            resources_per_worker={"CPU": wanted.cpus, **({"GPU": 1} if on_gpu else {})},
        ),
        run_config=RunConfig(
            name="train", storage_path=str(folder), failure_config=FailureConfig(max_failures=wanted.restarts)
        ),
    )
    try:
        trainer.fit()
    except Exception as error:  # of many kinds, from Ray's version to version
        if isinstance(error, FledgedError):
            raise
        words = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"The training on Ray lost its processes more than {wanted.restarts} times, or could not begin: {words}",
            remedy="Whole epochs are kept: run the same command with --resume.",
        ) from error


def _work(order: dict[str, Any]) -> None:
    """What each process does. A loss is raised, for Ray to begin anew; any other error would come again."""
    from fledged.training.train import train

    try:
        # A second attempt goes on where the first was; and before the first there is no checkpoint.
        train(order["dataset"], work=order["work"], resume=True, **order["settings"])
    except LostProcess:
        raise
    except FledgedError as error:
        if not error.is_told:
            parts = {"what": error.what, "where": error.where, "remedy": error.remedy}
            write_bytes(Path(order["outcome"]), json.dumps({"kind": type(error).__name__, **parts}).encode())


def _resources() -> Mapping[str, float]:
    """Of the cluster, all together."""
    import ray

    there: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return there


def _raise_outcome(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        raise errors.rebuilt(json.loads(path.read_bytes()))


def _refuse_if_small(config: TrainConfig) -> None:
    """Where Ray would wait for ever for more machines. Raises ConfigError."""
    needed = config.processes.workers * config.processes.cpus
    if (there := int(_resources().get("CPU", 0))) < needed:
        raise ConfigError(
            f"The cluster has {there} CPUs, and {config.processes.workers} workers need {needed}",
            where="train.processes.workers",
            remedy="Take fewer workers, or add machines.",
        )


@contextlib.contextmanager
def _told(job: Job | None, report: progress.Report) -> Iterator[None]:
    """Epochs are reported as checkpoints tell of them."""
    done = threading.Event()

    def look() -> None:
        while job is not None and not done.wait(_LOOK_EVERY_S):
            with contextlib.suppress(ProductError):
                checkpoint = checkpoints.find(job.run_id, job.workspace)
                if checkpoint is not None and checkpoint.history:
                    report("Training epochs", len(checkpoint.history), job.config.epochs)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
