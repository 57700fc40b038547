"""A training that is killed goes on, and ends in the very bits that it would have ended in."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from fledged import writing
from fledged.errors import ProductError, WorkspaceError
from fledged.fitting.epochs import Epoch, Progress
from fledged.products import Run
from fledged.progress import silent
from fledged.settings.training import OptimizeConfig, TrainConfig
from fledged.training import checkpoints
from fledged.training.checkpoints import Checkpoint
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.preloaded import python
from tests.tiny import TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 1}

# Trains with a checkpoint after every epoch, and tells of each step on its standard output.
DRIVER = """
import json, sys
from fledged.training import train as door
door._CHECKPOINT_EVERY_S = 0.0
def report(step, done, total):
    print(step, done, flush=True)
door.train(work=sys.argv[1], report=report, **json.loads(sys.argv[2]))
"""

TRAININGS: dict[str, tuple[dict[str, Any], str, float]] = {
    "transfer": ({"epochs": 40}, "Training epochs 7", 0.0),
    "transfer, before its first epoch": ({"epochs": 3, "views": 3}, "Computing features, view 3 0", 0.0),
    "finetune, sgd, plateau and EMA": (
        {
            "mode": "finetune",
            "epochs": 3,
            "batch_size": 16,
            "input": {"size_px": 32},
            "learning_rate": 0.1,
            "optimize": {"optimizer": "sgd", "schedule": "plateau", "ema_decay": 0.8, "clip_norm": 1.0},
        },
        "Training epochs 2",
        0.02,
    ),
    "scratch": (
        {"mode": "scratch", "epochs": 2, "batch_size": 16, "input": {"size_px": 32}, "loss": {"mixup": 0.2}},
        "Training epochs 1",
        0.05,
    ),
}


@pytest.fixture
def own_work(work: Path, tmp_path: Path) -> Path:
    shutil.copytree(work, tmp_path / "work", ignore=shutil.ignore_patterns("runs", "checkpoints"))
    return tmp_path / "work"


def weights_of(run: Run) -> bytes:
    return (run.folder / "weights.safetensors").read_bytes()


def kill_at(line: str, delay_s: float, work: Path, settings: dict[str, Any]) -> None:
    """Train in another process, and kill it with SIGKILL a moment after it has told this."""
    command = [*python(), "-c", DRIVER, str(work), json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for told in process.stdout:
            if told.strip() == line:
                break
        time.sleep(delay_s)
        assert process.poll() is None, "it was over before it could be killed"
        process.kill()
    assert process.returncode == -9


@pytest.mark.parametrize("name", TRAININGS, ids=TRAININGS.keys())
def test_killed_and_resumed_ends_in_the_same_bytes(own_work: Path, tmp_path: Path, name: str) -> None:
    how, line, delay_s = TRAININGS[name]
    settings = SMALL | how
    other = tmp_path / "other"
    shutil.copytree(own_work, other)
    kill_at(line, delay_s, own_work, settings)
    resumed = train(work=own_work, report=silent, resume=True)
    whole = train(work=other, report=silent, **settings)
    assert (resumed.id, resumed.n_epochs, resumed.interrupted) == (whole.id, settings["epochs"], False)
    assert weights_of(resumed) == weights_of(whole)
    assert resumed.history().drop("seconds").equals(whole.history().drop("seconds"))
    assert (resumed.folder / "steps.csv").read_bytes() == (whole.folder / "steps.csv").read_bytes()
    left = [path.name for path in (own_work / "checkpoints").iterdir()]
    assert left == ["latest.json"]


def progress(n_epochs: int) -> Progress:
    history = tuple(
        Epoch(
            epoch=n,
            train_loss=0.1 * n,
            train_accuracy=0.5,
            val_loss=1 / 3,
            val_loss_error=0.02,
            val_accuracy=0.5,
            learning_rate=1e-3 / 7,
            seconds=1.0,
        )
        for n in range(1, n_epochs + 1)
    )
    return Progress(
        model={"w": torch.full((3,), float(n_epochs))},
        optimizer={"0.step": torch.tensor(float(n_epochs))},
        average={"w": torch.zeros(3)},
        best={"w": torch.ones(3)},
        history=history,
    )


def begun(work: Path) -> tuple[Checkpoint, Workspace]:
    workspace = Workspace(work)
    return checkpoints.begin("abc", "da7a", TrainConfig(), workspace), workspace


def reached(workspace: Workspace) -> Progress:
    found = checkpoints.latest(workspace)
    assert found is not None
    return checkpoints.load(found, workspace)


def test_before_its_first_epoch_a_run_can_be_resumed_from_nothing(tmp_path: Path) -> None:
    _, workspace = begun(tmp_path)
    assert reached(workspace) == Progress()


def test_of_a_complete_run_nothing_is_left_not_even_what_was_half_written(tmp_path: Path) -> None:
    begin, workspace = begun(tmp_path)
    checkpoints.save(progress(1), begin, workspace)
    for name in (".abc-2-x.safetensors.0a1b.part", ".latest.json.0a1b.part"):
        (tmp_path / "checkpoints" / name).write_bytes(b"half")
    checkpoints.remove("abc", workspace)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["latest.json"]
    assert checkpoints.latest(workspace) is None


class _Killed(BaseException):
    """A process that ends in this very moment."""


def _die(*_: object) -> None:
    raise _Killed


def test_a_process_that_is_killed_while_it_removes_a_checkpoint_leaves_nothing_for_good(
    own_work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(
        progress(1), checkpoints.begin("abc", "da7a", TrainConfig(), Workspace(own_work)), Workspace(own_work)
    )
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_remove_tensors", _die)
        with pytest.raises(_Killed):
            checkpoints.remove("abc", Workspace(own_work))
    assert list((own_work / "checkpoints").glob("abc-*"))
    checkpoints.remove_of_finished(Workspace(own_work))
    assert not list((own_work / "checkpoints").glob("abc-*"))


def test_the_checkpoint_of_a_finished_run_is_gone_after_the_next_training(
    own_work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is killed between writing the run and removing its checkpoint."""

    other, workspace = progress(1), Workspace(own_work)
    checkpoints.save(other, checkpoints.begin("abc", "da7a", TrainConfig(), workspace), workspace)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "remove", _die)
        with pytest.raises(_Killed):
            train(work=own_work, report=silent, **SMALL, epochs=1, seed=1)
    finished = workspace.load(Run)
    assert checkpoints.find(finished.id, workspace) is not None
    train(work=own_work, report=silent, **SMALL, epochs=1, seed=2)
    assert checkpoints.find(finished.id, workspace) is None
    # That of a training which is not finished is still there.
    left = [path.name for path in (own_work / "checkpoints").iterdir() if path.name != "latest.json"]
    assert len(left) == 2, left
    assert all(name.startswith("abc") for name in left)


def test_an_earlier_training_that_was_stopped_is_gone_on_with_after_another_was_finished(
    own_work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(step: str, done: int, total: int) -> None:
        if step == "Training epochs" and done == 2:
            raise KeyboardInterrupt

    stopped = train(work=own_work, report=stop, **SMALL, epochs=4, seed=1)
    checkpoints.begin("never", "da7a", TrainConfig(), Workspace(own_work))  # has no epoch to go on from
    train(work=own_work, report=silent, **SMALL, epochs=1, seed=2)
    with caplog.at_level(logging.INFO, logger="fledged"):
        resumed = train(work=own_work, report=silent, resume=True)
    assert (resumed.id, resumed.n_epochs) == (stopped.id, 4)
    assert f"Going on with run {stopped.id}, stopped after 2 of 4 epochs" in caplog.text
    with pytest.raises(ProductError, match="no checkpoint"):
        train(work=own_work, report=silent, resume=True)


def test_the_last_training_that_was_finished_is_not_trained_again(
    own_work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "remove", lambda *_: None)
        made = train(work=own_work, report=silent, **SMALL, epochs=1, seed=3)
    assert checkpoints.latest(Workspace(own_work)) is not None
    resumed = train(work=own_work, report=silent, resume=True)
    assert (resumed.id, resumed.created_at) == (made.id, made.created_at)
    assert [path.name for path in (own_work / "checkpoints").iterdir()] == ["latest.json"]


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    begin, workspace = begun(tmp_path)
    checkpoints.save(progress(4), begin, workspace)
    back = reached(workspace)
    assert back.history == progress(4).history
    for part in ("model", "optimizer", "average", "best"):
        ours, theirs = getattr(back, part), getattr(progress(4), part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_that_cannot_be_read_for_a_moment_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, workspace = begun(tmp_path)
    checkpoints.save(progress(4), begin, workspace)
    (file,) = (tmp_path / "checkpoints").glob("abc-4-*")

    def fails(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(checkpoints, "sha256_of_file", fails)
    with pytest.raises(WorkspaceError, match="run the same command again") as raised:
        reached(workspace)
    assert raised.value.where == str(file)
    monkeypatch.undo()
    file.unlink()
    with pytest.raises(ProductError, match="it is gone"):
        reached(workspace)


@pytest.mark.parametrize("after_writing", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_whatever_write_is_the_last_the_checkpoint_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after_writing: bool
) -> None:
    """Saving is three writes: killed before or after any of them, one of the two epochs is there, and whole."""
    begin, workspace = begun(tmp_path)
    checkpoints.save(progress(1), begin, workspace)
    for name in (".abc-2-x.safetensors.0a1b.part", ".latest.json.0a1b.part"):
        (tmp_path / "checkpoints" / name).write_bytes(b"half")  # by the one that was killed
    write = writing.write_bytes
    count = 0

    def dying(path: Path, data: bytes) -> None:
        nonlocal count
        count += 1
        if count < number or after_writing:
            write(path, data)
        if count == number:
            raise _Killed

    monkeypatch.setattr(checkpoints, "write_bytes", dying)
    with pytest.raises(_Killed):
        checkpoints.save(progress(2), begin, workspace)
    monkeypatch.setattr(checkpoints, "write_bytes", write)
    n_epochs = len(reached(workspace).history)
    assert n_epochs in (1, 2)
    assert reached(workspace).model["w"].tolist() == [n_epochs] * 3
    checkpoints.save(progress(3), begin, workspace)
    assert len(reached(workspace).history) == 3
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3  # tensors, record, latest: nothing is left behind


def test_another_machine_or_number_of_threads_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begin, workspace = begun(tmp_path)
    checkpoints.save(progress(2), begin, workspace)
    with caplog.at_level(logging.WARNING, "fledged"):
        reached(workspace)
        assert caplog.text == ""
        threads = torch.get_num_threads()
        torch.set_num_threads(threads + 1)
        try:
            reached(workspace)
        finally:
            torch.set_num_threads(threads)
    assert f"threads {threads} then, {threads + 1} now" in caplog.text
    assert "the last bits will differ" in caplog.text


def test_patience_is_kept_across_a_stop(own_work: Path) -> None:
    """A rate so high that no epoch is better than an early one."""
    optimize = OptimizeConfig(schedule="constant", patience=2).model_dump()
    run = train(work=own_work, report=silent, **SMALL, epochs=50, learning_rate=5.0, optimize=optimize)
    assert run.n_epochs == run.best_epoch + 2 < 50
    assert not run.interrupted
    assert run.history().height == run.n_epochs
