"""TensorBoard, W&B and MLflow get the figures, offline and below the working folder; none of them changes a run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fledged.config import resolve
from fledged.errors import ConfigError, MissingExtra
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training import tracking
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.tiny import TINY, TINY_FLAGS

SMALL: dict[str, Any] = TINY | {
    "input": {"size_px": 64},
    "views": 2,
    "batch_size": 8,
    "epochs": 3,
}
VARIABLES = ("WANDB_MODE", "WANDB_DIR", "WANDB_CACHE_DIR", "MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own_work(work: Path, run: Run, tmp_path: Path) -> Path:
    """A copy of the working folder without runs, but with the features of one in its cache."""
    shutil.copytree(work, tmp_path / "work", ignore=shutil.ignore_patterns("runs", "checkpoints"))
    return tmp_path / "work"


@pytest.fixture(scope="module")
def untracked(work: Path, run: Run, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run in another working folder, without any tracker."""
    other = tmp_path_factory.mktemp("untracked") / "work"
    shutil.copytree(work, other, ignore=shutil.ignore_patterns("runs", "checkpoints"))
    return train(dataset, work=other, report=silent, **SMALL)


def records_of(file: Path) -> Iterator[Any]:
    """What W&B wrote while it was offline: protocol buffers in the log format of LevelDB, in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    data, place, parts = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        room = 32768 - place % 32768
        if room < 7:
            place += room  # a header does not fit: the rest of the block is padding
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def files_below(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file())


def test_tensorboard_gets_scalars_pictures_and_histograms(dataset: Dataset, own_work: Path, untracked: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(dataset, work=own_work, report=silent, **SMALL, track={"to": "tensorboard"})
    assert run.id == untracked.id
    assert run.files["weights.safetensors"] == untracked.files["weights.safetensors"]
    read = EventAccumulator(
        str(own_work / "tracking" / "tensorboard" / run.id), {"images": 0, "scalars": 0, "histograms": 0}
    )
    read.Reload()
    steps, history = run.steps(), run.history()
    losses = read.Scalars("step/loss")
    assert [event.step for event in losses] == steps["step"].to_list()
    assert [event.value for event in losses] == pytest.approx(steps["loss"].to_list())
    rates = [event.value for event in read.Scalars("step/learning_rate")]
    assert rates == pytest.approx(steps["learning_rate"].to_list())
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert [event.value for event in read.Scalars(f"epoch/{name}")] == pytest.approx(history[name].to_list())
    per_epoch = len(steps) // 3
    assert [event.step for event in read.Scalars("epoch/number")] == [per_epoch, 2 * per_epoch, 3 * per_epoch]
    (picture,) = read.Images("augmented")
    assert picture.step == 0
    assert picture.width > 1000
    histograms = read.Histograms("weights/linear.weight")
    assert len(histograms) == 3
    assert histograms[0].histogram_value.num == len(dataset.classes) * run.backbone.n_features


def test_mlflow_gets_figures_settings_and_the_picture_in_files(
    dataset: Dataset, own_work: Path, untracked: Run
) -> None:
    import mlflow

    before = dict(os.environ)
    run = train(dataset, work=own_work, report=silent, **SMALL, track={"to": ["mlflow"], "project": "owls"})
    assert run.files["weights.safetensors"] == untracked.files["weights.safetensors"]
    assert {name: os.environ.get(name) for name in VARIABLES} == {name: before.get(name) for name in VARIABLES}
    with tracking._environment(MLFLOW_ALLOW_FILE_STORE="true"):
        client = mlflow.MlflowClient((own_work.absolute() / "tracking" / "mlflow").as_uri())
        experiment = client.get_experiment_by_name("owls")
        assert experiment is not None
        (kept,) = client.search_runs([experiment.experiment_id])
        assert (kept.info.status, kept.info.run_name) == ("FINISHED", run.id)
        assert kept.data.tags["fledged.run_id"] == run.id
        assert kept.data.params["epochs"] == "3"
        assert kept.data.metrics["epoch/val_accuracy"] == pytest.approx(run.history()["val_accuracy"][-1])
        losses = client.get_metric_history(kept.info.run_id, "step/loss")
        assert [metric.step for metric in losses] == run.steps()["step"].to_list()
        assert [metric.value for metric in losses] == pytest.approx(run.steps()["loss"].to_list())
        assert [artifact.path for artifact in client.list_artifacts(kept.info.run_id)] == ["augmented.png"]


def test_wandb_gets_figures_and_pictures_offline(dataset: Dataset, own_work: Path, untracked: Run) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, track={"to": ["wandb"], "project": "owls"})
    assert run.files["weights.safetensors"] == untracked.files["weights.safetensors"]
    (folder,) = (own_work / "tracking" / "wandb").glob(f"offline-run-*-{run.id}")
    rows, project, settings = list[dict[str, str]](), "", list[str]()
    for record in records_of(folder / f"run-{run.id}.wandb"):
        project = record.run.project or project
        settings += [item.key for item in (*record.run.config.update, *record.config.update)]
        if record.history.item:
            rows.append({item.key or "/".join(item.nested_key): item.value_json for item in record.history.item})
    losses = [float(row["step/loss"]) for row in rows if "step/loss" in row]
    assert losses == pytest.approx(run.steps()["loss"].to_list())
    assert [float(row["epoch/val_loss"]) for row in rows if "epoch/val_loss" in row] == pytest.approx(
        run.history()["val_loss"].to_list()
    )
    assert sum(any(key.startswith("weights/linear.weight") for key in row) for row in rows) == 3
    assert any(key.startswith("augmented") for key in rows[0])
    assert len(list(folder.glob("files/media/images/*.png"))) == 1
    assert (project, "epochs" in settings) == ("owls", True)


def test_nothing_goes_into_the_current_folder_or_home(own_work: Path, tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    flags = [word for name in ("tensorboard", "wandb", "mlflow") for word in ("--track", name)]
    command = [sys.executable, "-m", "fledged", "train", "--work", str(own_work), *flags, "--epochs", "2"]
    command += [
        *TINY_FLAGS,
        "--set",
        "train.input.size_px=64",
        "--views",
        "2",
        "--batch-size",
        "8",
    ]
    done = subprocess.run(
        command,
        cwd=here,
        env=environment | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr
    # onnxruntime keeps a file of its own in the home of whoever uses it, tracked or not.
    assert [path for path in files_below(home, here) if "onnxruntime" not in str(path)] == []
    (run,) = Workspace(own_work).all(Run)
    assert f"Page: {run.folder / 'run.html'}" in done.stdout
    assert {path.name for path in (own_work / "tracking").iterdir()} == {"tensorboard", "wandb", "mlflow"}


def test_a_tracker_that_cannot_begin_is_told_of_once_and_training_goes_on(
    dataset: Dataset, own_work: Path, untracked: Run, caplog: pytest.LogCaptureFixture
) -> None:
    (own_work / "tracking").mkdir()
    (own_work / "tracking" / "tensorboard").write_text("in the way")
    run = train(dataset, work=own_work, report=silent, **SMALL, track={"to": "tensorboard"})
    assert run.files["weights.safetensors"] == untracked.files["weights.safetensors"]
    told = [message for message in caplog.messages if "failed" in message]
    assert len(told) == 1
    assert told[0].startswith("tensorboard failed and is left out from now on; training goes on (")


def test_a_tracker_that_fails_on_the_way_is_told_of_once_and_others_go_on(
    dataset: Dataset, own_work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def report(step: str, done: int, total: int) -> None:
        if step == "Training epochs" and done == 1:
            for record in (own_work / "tracking" / "mlflow").glob("*/*/meta.yaml"):
                record.unlink()

    run = train(dataset, work=own_work, report=report, **SMALL, track={"to": ["mlflow", "tensorboard"]})
    assert not run.interrupted
    assert [message.split()[0] for message in caplog.messages if "failed" in message] == ["mlflow"]
    read = EventAccumulator(str(own_work / "tracking" / "tensorboard" / run.id))
    read.Reload()
    assert len(read.Scalars("epoch/val_loss")) == 3
    # Nothing is left behind that would be in the way of the next training.
    again = train(dataset, work=own_work, report=silent, **SMALL | {"seed": 1}, track={"to": "mlflow"})
    assert [message.split()[0] for message in caplog.messages if "failed" in message] == ["mlflow"]
    assert again.id != run.id


def test_a_server_that_is_away_does_not_end_the_training(
    dataset: Dataset, own_work: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    run = train(dataset, work=own_work, report=silent, **SMALL, track={"to": "mlflow"})
    assert run.n_epochs == 3
    assert [message.split()[0] for message in caplog.messages if "failed" in message] == ["mlflow"]
    assert not (own_work / "tracking" / "mlflow").exists()
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"


def test_a_resumed_training_goes_on_where_its_checkpoint_was(dataset: Dataset, own_work: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def stop(step: str, done: int, total: int) -> None:
        if step == "Training epochs" and done == 2:
            raise KeyboardInterrupt

    settings = SMALL | {"track": {"to": "tensorboard"}}
    stopped = train(dataset, work=own_work, report=stop, **settings)
    assert stopped.interrupted
    run = train(work=own_work, report=silent, resume=True)
    assert run.id == stopped.id
    read = EventAccumulator(str(own_work / "tracking" / "tensorboard" / run.id), {"scalars": 0})
    read.Reload()
    assert [event.step for event in read.Scalars("step/loss")] == run.steps()["step"].to_list()
    assert len(read.Scalars("epoch/val_loss")) == 3


def test_a_missing_package_is_told_of_before_anything_is_trained(
    work: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "wandb" else real(name, *rest))
    with pytest.raises(MissingExtra, match=r"needs the package wandb.*fledged\[track\]"):
        train(dataset, work=work, report=silent, **SMALL, track={"to": ["wandb"]})


def test_an_unknown_tracker_is_an_error() -> None:
    assert resolve(TrainConfig, {"track": {"to": "mlflow"}}).track.to == ("mlflow",)
    with pytest.raises(ConfigError, match=r"train\.track\.to"):
        resolve(TrainConfig, {"track": {"to": ["comet"]}})
