"""Several processes train what one would train; one that is killed takes nothing with it but its epoch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from fledged.errors import ConfigError, FledgedError, MissingExtra, ProductError, TrainingError, rebuilt
from fledged.fitting.batches import Part
from fledged.fitting.processes import ALONE, LostProcess, joined, losses_told
from fledged.fitting.stopping import Terminated
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.fitting.several import CASES, N
from tests.minutes import WHY, needs_minutes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

SETTINGS: dict[str, Any] = {
    "mode": "scratch",
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.01,
    "backbone": "timm:test_resnet",
    "input": {"size_px": 64},
    "head": {"dropout": 0.2},
    "optimize": {"optimizer": "sgd", "precision": "fp32"},
}
FLAGS = [f"--{name.replace('_', '-')}={SETTINGS[name]}" for name in list(SETTINGS)[:5]]
ASSIGNED = ("input.size_px=64", "head.dropout=0.2", "optimize.optimizer=sgd", "optimize.precision=fp32")
FLAGS += [f"--set=train.{name}" for name in ASSIGNED]


def torchrun(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """In two processes on this machine."""
    source = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launcher, *map(str, command)], capture_output=True, text=True, check=False, timeout=240, env=environment
    )


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes says of small networks that were trained in parts."""
    if "FLEDGED_CLUSTER" not in os.environ:
        pytest.skip(WHY)
    folder = tmp_path_factory.mktemp("several")
    done = torchrun(HERE / "several.py", folder)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(answers: list[dict[str, Any]], case: str) -> None:
    """Also BatchNorm's statistics, dropout, mixup and a last batch of a single photo: to the sixth digit."""
    found = answers[0]["differences"][case]
    assert found["moved"] > 0.01  # so there was something to differ in
    assert found["losses"] < 1e-5
    assert found["steps"] < 1e-5
    assert found["weights"] < 1e-4


def test_all_processes_have_the_same_figures_to_the_last_bit(answers: list[dict[str, Any]]) -> None:
    assert answers[0]["histories"] == answers[1]["histories"]
    assert [(answer["rank"], answer["size"]) for answer in answers] == [(0, 2), (1, 2)]


def test_an_error_of_the_first_process_is_raised_in_all(answers: list[dict[str, Any]]) -> None:
    words = "There is nothing (here). Look elsewhere."
    assert [answer["error"] for answer in answers] == [f"ProductError False {words}", f"ProductError True {words}"]


class Killed(NamedTuple):
    whole: Path
    killed: Path
    first: subprocess.CompletedProcess[str]  # a whole training, and one whose second process was killed
    second: subprocess.CompletedProcess[str]  # `--resume` of that one


@pytest.fixture(scope="module")
def killed(work: Path, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    for name in ("whole", "killed"):
        shutil.copytree(work, folder / name, ignore=shutil.ignore_patterns("runs", "checkpoints"))
    first = torchrun(HERE / "killed.py", folder / "whole", folder / "killed", *FLAGS)
    second = torchrun("-m", "fledged", "train", "--resume", "--work", folder / "killed")
    return Killed(folder / "whole", folder / "killed", first, second)


@needs_minutes
def test_torchrun_makes_one_run_that_says_how_it_was_made(killed: Killed, work: Path) -> None:
    run = Workspace(killed.whole).load(Run)
    assert (run.environment.n_processes, run.environment.engine) == (2, "launcher")
    assert killed.first.stdout.count("Saved ") == 1
    alone = train(work=work, report=silent, **SETTINGS)
    assert alone.id == run.id
    assert (alone.environment.n_processes, alone.environment.engine) == (1, "local")
    for ours, theirs in zip(run.history().iter_rows(named=True), alone.history().iter_rows(named=True), strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-3)
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], abs=1e-3)
    weights, expected = (load_file(of.folder / "weights.safetensors") for of in (run, alone))
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-3, rtol=1e-2)


@needs_minutes
def test_accelerate_launches_a_training_too(work: Path, dataset: Dataset, tmp_path: Path) -> None:
    """On CPUs it starts one process, so that what it is for is not tried: several GPUs."""
    shutil.copytree(work, tmp_path / "own", ignore=shutil.ignore_patterns("runs", "checkpoints"))
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "-m", "fledged"]
    source = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [*launcher, "train", "--work", str(tmp_path / "own"), *FLAGS],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=os.environ | {"PYTHONPATH": source},
    )
    assert done.returncode == 0, done.stderr
    launched, alone = Workspace(tmp_path / "own").load(Run), train(work=work, report=silent, **SETTINGS)
    assert (launched.id, launched.n_epochs) == (alone.id, alone.n_epochs)
    for ours, theirs in zip(
        launched.history().iter_rows(named=True), alone.history().iter_rows(named=True), strict=True
    ):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-3)


@needs_minutes
def test_a_killed_process_ends_the_others_with_one_line(killed: Killed) -> None:
    assert killed.first.returncode != 0
    lines = [line for line in killed.first.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "--resume" in lines[0]


@needs_minutes
def test_resumed_it_ends_in_the_same_bits(killed: Killed) -> None:
    assert killed.second.returncode == 0, killed.second.stderr
    whole, resumed = (Workspace(folder).load(Run) for folder in (killed.whole, killed.killed))
    assert whole.id == resumed.id
    assert whole.files["weights.safetensors"] == resumed.files["weights.safetensors"]
    assert whole.history().drop("seconds").equals(resumed.history().drop("seconds"))


@pytest.mark.parametrize("of", [1, 2, 3, 8])
@pytest.mark.parametrize("n_photos", [1, 2, 7, 32])
def test_parts_are_the_whole(of: int, n_photos: int) -> None:
    parts = [Part(rank, of) for rank in range(of)]
    rows = [row for part in parts for row in range(n_photos)[part.own(n_photos)]]
    assert rows == list(range(n_photos))
    for part in parts:
        assert len(range(n_photos)[part.run(n_photos)]) >= 1
        assert len(range(n_photos)[part.own(n_photos)]) <= -(-n_photos // of)
        assert part.read(n_photos) == part.run(n_photos)
        assert Part(part.rank, of, reads_all=True).read(n_photos) == slice(0, n_photos)


def test_a_process_by_itself_is_its_own_group() -> None:
    with joined() as group:
        assert group == ALONE
        assert group.from_first(lambda: "made here") == "made here"


def test_a_lost_process_is_one_line_and_other_errors_are_themselves() -> None:
    from fledged.fitting.processes import Group

    pair = Group(0, 2, "launcher")
    with pytest.raises(LostProcess, match=r"2 processes.*--resume"), losses_told(pair):
        raise RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    with pytest.raises(LostProcess, match=r"launcher.*--resume"), losses_told(pair):
        raise Terminated
    with pytest.raises(SystemExit), losses_told(Group(1, 2, "launcher")):
        raise Terminated
    with pytest.raises(RuntimeError, match="shapes"), losses_told(pair):
        raise RuntimeError("shapes do not fit")
    with pytest.raises(Terminated), losses_told(ALONE):
        raise Terminated


def test_an_error_is_told_from_process_to_process() -> None:
    for error in (ConfigError("a", where="b", remedy="c"), ProductError("a"), TrainingError("a", remedy="c")):
        parts = {"kind": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy}
        assert (type(rebuilt(parts)), str(rebuilt(parts))) == (type(error), str(error))
    extra = rebuilt({"kind": "MissingExtra", "what": "a", "where": None, "remedy": "b"})
    assert isinstance(extra, MissingExtra)
    assert isinstance(rebuilt({"kind": "os", "what": "a", "where": None, "remedy": ""}), FledgedError)


def test_several_processes_need_somebody_who_starts_them(work: Path) -> None:
    with pytest.raises(ConfigError, match=r"train.processes.workers.*--engine ray"):
        train(work=work, report=silent, processes={"workers": 2})


def test_the_cases_have_a_batch_that_only_one_process_can_take() -> None:
    assert N % 8 == 1
