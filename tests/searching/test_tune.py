"""Settings are searched for on folds, in an order that no interruption changes, and test is not opened."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fledged.config import CONFIG_FILE
from fledged.errors import ConfigError
from fledged.products import Dataset
from fledged.progress import silent
from fledged.searching.tune import _study, tune
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.tiny import BACKBONE, TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 2, "epochs": 3}


@pytest.fixture(scope="module")
def own_work(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working folder, with its features in the cache."""
    folder = tmp_path_factory.mktemp("tune") / "work"
    shutil.copytree(work, folder)
    return folder


def without_times(tuning: Any) -> list[tuple[dict[str, Any], float | None]]:
    return [(trial.settings, trial.val_loss) for trial in tuning.trials]


def stop_after(n_trials: int) -> Callable[[str, int, int], None]:
    def report(step: str, done: int, total: int) -> None:
        if step == "Trials" and done == n_trials:
            raise KeyboardInterrupt

    return report


def test_the_best_settings_are_those_that_train_then_takes(
    dataset: Dataset, own_work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Workspace(own_work).load(Dataset, dataset.id)
    for shard in opened.shards("test"):
        shard.write_bytes(b"not to be opened")
    done = tune(opened, work=own_work, report=silent, train=SMALL, trials=3, folds=2)
    assert len(done.trials) == 3
    assert not done.interrupted
    usual = done.usual.settings
    assert (usual["learning_rate"], usual["optimize.weight_decay"], usual["views"]) == (1e-3, 0.1, 2)
    losses = [trial.val_loss for trial in done.trials if trial.val_loss is not None]
    assert done.best.val_loss == min(losses)
    assert len(set(losses)) == len(losses)
    # A fledged.toml in a folder is enough.
    shutil.copy(Path(done.folder) / "fledged.toml", tmp_path / CONFIG_FILE)
    monkeypatch.chdir(tmp_path)
    run = train(opened, work=own_work, report=silent)
    assert run.settings.learning_rate == done.best.settings["learning_rate"]
    assert run.settings.optimize.weight_decay == done.best.settings["optimize.weight_decay"]
    assert (run.settings.backbone, run.n_epochs) == (BACKBONE, 3)


def test_what_fledged_toml_says_is_in_what_is_written(
    dataset: Dataset, own_work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {name: value for name, value in SMALL.items() if name != "epochs"}
    (tmp_path / CONFIG_FILE).write_text(tomli_w.dumps({"train": settings}))
    done = tune(dataset, work=own_work, report=silent, train={"epochs": 2}, trials=1, folds=2)
    (tmp_path / CONFIG_FILE).unlink()
    told = tomllib.loads((Path(done.folder) / "fledged.toml").read_text())["train"]
    assert {name: told[name] for name in (*settings, "epochs")} == {**settings, "epochs": 2}


def test_no_decay_stays_none(dataset: Dataset, own_work: Path) -> None:
    asked = SMALL | {"optimize": {"weight_decay": 0.0}}
    done = tune(dataset, work=own_work, report=silent, train=asked, trials=2, folds=2)
    assert all("optimize.weight_decay" not in trial.settings for trial in done.trials)
    assert tomllib.loads((Path(done.folder) / "fledged.toml").read_text())["train"]["optimize"]["weight_decay"] == 0


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    two = [tmp_path / "once", tmp_path / "stopped"]
    for folder in two:
        shutil.copytree(work, folder)
    once, stopped = (
        {"work": folder, "train": {**SMALL, "views": 1}, "trials": 3, "folds": 2, "seed": 1} for folder in two
    )
    whole = tune(dataset, report=silent, **once)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        tune(dataset, report=stop_after(2), **stopped)  # type: ignore[arg-type]
    journal = next((tmp_path / "stopped" / "tunings").glob("*/journal.log"))
    # What a killed process leaves behind: a trial under way, half a line, and the lock.
    _study(journal).ask()
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"wor')
    Path(f"{journal}.lock").symlink_to(journal)
    again = tune(dataset, report=silent, **stopped)  # type: ignore[arg-type]
    assert without_times(again) == without_times(whole)
    assert len(_study(journal).trials) == 4
    # All trials are there: nothing is trained.
    assert without_times(tune(dataset, report=silent, **stopped)) == without_times(whole)  # type: ignore[arg-type]


def test_after_the_time_no_trial_is_begun(dataset: Dataset, own_work: Path) -> None:
    settings = {**SMALL, "unfreeze": 1, "epochs": 2, "loss": {"mixup": 0.2}}
    done = tune(dataset, work=own_work, report=silent, train=settings, trials=50, folds=2, time="1s")
    assert len(done.trials) == 1
    assert done.interrupted
    assert done.best.val_loss is not None


@pytest.mark.parametrize("settings", [{"mode": "finetune"}, {"mode": "scratch"}, {"mode": "gradual"}])
def test_whole_networks_are_not_searched_for(dataset: Dataset, work: Path, settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        tune(dataset, work=work, report=silent, train={**SMALL, **settings})
