"""SIGTERM, sent to this process and to others: what is whole is saved, and the exit code is 0."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fledged.fitting.stopping import AGAIN, RESUME, Terminated, terminable
from fledged.products import Run
from fledged.progress import silent
from fledged.training import beginning, checkpoints
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.preloaded import python
from tests.tiny import TINY, TINY_FLAGS

SMALL = [*TINY_FLAGS, "--set", "train.input.size_px=64", "--views", "1", "--epochs", "10000"]


def test_the_first_signal_ends_the_process_once_all_is_saved_and_the_second_does_not_disturb() -> None:
    before = signal.getsignal(signal.SIGTERM)
    saved: list[str] = []
    with pytest.raises(SystemExit) as ended:
        terminated_twice(saved)
    assert ended.value.code == 0
    assert saved == ["all"]
    assert signal.getsignal(signal.SIGTERM) is before


def terminated_twice(saved: list[str]) -> None:
    with terminable("over"):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except Terminated:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            saved.append("all")
            raise


def test_without_a_signal_nothing_happens_and_other_threads_may_train_too() -> None:
    before = signal.getsignal(signal.SIGTERM)
    told: list[object] = []

    def in_a_thread() -> None:
        with terminable("over"):
            told.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    with terminable("over"):
        pass
    assert told == [before]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_training_saves_and_exits_with_0(work: Path, tmp_path: Path) -> None:
    own = tmp_path / "work"
    shutil.copytree(work, own, ignore=shutil.ignore_patterns("runs", "checkpoints"))
    command = [*python(), "-m", "fledged", "train", "--work", str(own), *SMALL]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (own / "checkpoints" / "latest.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)  # it computes features, or is in some epoch
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert RESUME in told
    kept = checkpoints.latest(Workspace(own))
    assert kept is not None
    assert kept.settings.epochs == 10_000
    if kept.history:  # else it was stopped in its first epoch
        run = Workspace(own).load(Run)
        assert (run.interrupted, run.n_epochs) == (True, len(kept.history))
        assert len(checkpoints.load(kept, Workspace(own)).history) == run.n_epochs


def test_before_torch_is_imported_it_exits_with_0_as_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fledged", "train", "--work", str(tmp_path / "work")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not hears_of_sigterm(process.pid):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told.strip()) == (0, AGAIN)


def hears_of_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def stop() -> Any:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


@pytest.mark.parametrize("moment", ["job_of", "find"])
def test_before_anything_is_begun_it_exits_with_0_and_a_sentence_that_is_true(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """While the dataset is opened, and while an earlier run is looked for: no checkpoint is there to resume from."""
    own = tmp_path / "work"
    shutil.copytree(work, own, ignore=shutil.ignore_patterns("runs", "checkpoints"))
    place = beginning if moment == "job_of" else Workspace
    monkeypatch.setattr(place, moment, lambda *_: stop())
    with pytest.raises(SystemExit) as ended:
        train(work=own, report=silent, **TINY, input={"size_px": 64}, views=1, epochs=1)
    monkeypatch.undo()
    assert ended.value.code == 0
    assert AGAIN in caplog.text
    assert not list((own / "checkpoints").glob("*"))
    again = train(work=own, report=silent, **TINY, input={"size_px": 64}, views=1, epochs=1)
    assert (again.interrupted, again.n_epochs) == (False, 1)


def test_before_its_first_epoch_what_was_asked_for_is_kept(
    work: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "work"
    shutil.copytree(work, own, ignore=shutil.ignore_patterns("runs", "checkpoints", "features"))
    steps: list[str] = []

    def told(step: str, done: int, total: int) -> None:
        steps.append(step)
        stop()

    with pytest.raises(SystemExit) as ended:
        train(work=own, report=told, **TINY, input={"size_px": 64}, views=1, epochs=1, seed=5)
    assert (ended.value.code, steps) == (0, ["Computing features"])
    assert RESUME in caplog.text
    assert not (own / "runs").exists()
    resumed = train(work=own, report=silent, resume=True)
    assert (resumed.settings.seed, resumed.n_epochs, resumed.interrupted) == (5, 1, False)
