"""A run is trained again and compared; the earlier one stays as it was. Its settings file gives the same run."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from fledged import summary
from fledged.errors import ProductError
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training.reproduce import reproduce
from fledged.training.run_files import as_toml
from fledged.training.train import train
from fledged.workspace import Workspace
from fledged.writing import write_bytes
from tests.preloaded import python
from tests.tiny import TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 2, "batch_size": 8}
KINDS: dict[str, dict[str, Any]] = {
    "transfer": {"epochs": 5, "loss": {"mixup": 0.3}, "augment": {"steps": ["horizontal_flip", "rotate"]}},
    "the last blocks": {"epochs": 2, "unfreeze": 2, "head": {"dropout": 0.2}},
    "all blocks": {"epochs": 1, "mode": "finetune", "balance": "sampling"},
}


@pytest.fixture
def own_work(work: Path, run: Run, tmp_path: Path) -> Path:
    shutil.copytree(work, tmp_path / "work", ignore=shutil.ignore_patterns("runs", "checkpoints"))
    return tmp_path / "work"


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_comes_out_the_same_again(own_work: Path, dataset: Dataset, kind: str) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, **KINDS[kind])
    before = files_of(run.folder)
    done = reproduce(run.id, work=own_work, report=silent)
    assert done.is_equal
    assert (done.largest_difference, done.where_largest, done.first_epoch_that_differs) == (0, "", 0)
    assert done.weights_sha256 == done.again_sha256 == run.files["weights.safetensors"]
    assert files_of(run.folder) == before
    assert len(list(Workspace(own_work).all(Run))) == 1
    assert summary.reproduction_lines(done)[0].startswith(f"Equal: run {run.id}")


def test_a_run_that_was_stopped_is_stopped_there_again(own_work: Path, dataset: Dataset) -> None:
    def stop(step: str, done: int, total: int) -> None:
        if step == "Training epochs" and done == 3:
            raise KeyboardInterrupt

    run = train(dataset, work=own_work, report=stop, **SMALL, epochs=9)
    assert (run.interrupted, run.n_epochs) == (True, 3)
    assert reproduce(work=own_work, report=silent).is_equal


def test_what_differs_is_told(own_work: Path, dataset: Dataset) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, epochs=4)
    state = safetensors.torch.load_file(run.folder / "weights.safetensors")
    state["head.linear.weight"][1, 2] += 0.25
    write_bytes(run.folder / "weights.safetensors", safetensors.torch.save(state))
    lines = (run.folder / "history.csv").read_text().splitlines()
    lines[3] = lines[3].replace("3,", "3,1", 1)
    write_bytes(run.folder / "history.csv", "\n".join(lines).encode())
    elsewhere = run.environment.model_copy(update={"n_threads": 77})
    Workspace(own_work).save(run.model_copy(update={"environment": elsewhere}))
    done = reproduce(work=own_work, report=silent)
    assert not done.is_equal
    assert done.where_largest == "head.linear.weight"
    assert done.largest_difference == pytest.approx(0.25)
    assert done.first_epoch_that_differs == 3
    told = "\n".join(summary.reproduction_lines(done))
    assert "largest difference is 0.25, in head.linear.weight" in told
    assert "epoch 3 of 4 is the first that differs" in told
    assert "threads 77 then" in told


def test_other_starting_weights_are_an_error(own_work: Path, dataset: Dataset) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, epochs=1)
    other = run.backbone.model_copy(update={"weights_sha256": "f" * 64})
    Workspace(own_work).save(run.model_copy(update={"backbone": other}))
    with pytest.raises(ProductError, match=r"began with other weights: sha256 ffffffffffff…"):
        reproduce(work=own_work, report=silent)


def test_settings_that_mean_something_else_are_an_error(own_work: Path, dataset: Dataset) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, epochs=1)
    Workspace(own_work).save(run.model_copy(update={"id": "0123456789ab"}))
    with pytest.raises(ProductError, match="mean something else by now"):
        reproduce("0123456789ab", work=own_work, report=silent)


@pytest.mark.parametrize("kind", ["transfer", "the last blocks"])
def test_the_settings_file_gives_the_same_run(
    own_work: Path, dataset: Dataset, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, **KINDS[kind])
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(run.folder / "fledged.toml", tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    shutil.rmtree(run.folder)
    again = train(run.dataset_id, work=own_work, report=silent)
    assert again.id == run.id
    assert again.files["weights.safetensors"] == run.files["weights.safetensors"]
    assert again.settings == run.settings


def test_the_settings_file_names_the_weights_where_they_are_and_no_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig.model_validate({"weights": "mine.safetensors", "track": {"to": ["mlflow"]}})
    written = tomllib.loads(as_toml(config, "r", "d"))["train"]
    assert written["weights"] == str(Path.cwd() / "mine.safetensors")
    assert "track" not in written


def test_the_command_says_so_by_its_exit_code(own_work: Path, dataset: Dataset) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, epochs=2)

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        words = ("-m", "fledged", "reproduce", *words, "--work", str(own_work))
        return subprocess.run([*python(), *words], capture_output=True, text=True, check=False, timeout=120)

    equal = command(run.id)
    assert (equal.returncode, equal.stdout.split()[0]) == (0, "Equal:"), equal.stderr
    state = safetensors.torch.load_file(run.folder / "weights.safetensors")
    state["head.linear.bias"] += 1
    write_bytes(run.folder / "weights.safetensors", safetensors.torch.save(state))
    Workspace(own_work).save(run)
    differs = command("--json")
    assert differs.returncode == 1
    assert json.loads(differs.stdout)["where_largest"] == "head.linear.bias"
    missing = command("nosuchrun")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
