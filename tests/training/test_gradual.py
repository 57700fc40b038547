"""Gradual unfreezing: stages that are runs, each from the best before it, until the target or patience ends it."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from fledged.config import resolve
from fledged.errors import ConfigError
from fledged.fitting.stopping import AGAIN
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.settings.training import CacheConfig, GradualConfig, TrainConfig
from fledged.training import checkpoints, gradual
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.tiny import TINY

SMALL: dict[str, Any] = TINY | {
    "input": {"size_px": 64},
    "views": 2,
    "epochs": 2,
    "batch_size": 8,
}


def test_the_stages_are_runs_and_the_best_is_the_answer(
    work: Path, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(work, tmp_path / "work", ignore=shutil.ignore_patterns("runs", "checkpoints"))
    plan = {"stages": [0, 1], "patience": 3}
    with caplog.at_level(logging.INFO, logger="fledged"):
        best = train(dataset, work=tmp_path / "work", report=silent, mode="gradual", gradual=plan, **SMALL)
    runs = {run.settings.unfreeze: run for run in Workspace(tmp_path / "work").all(Run)}
    assert set(runs) == {0, 1}
    assert (runs[0].settings.start, runs[1].settings.start) == ("", runs[0].id)
    assert best.val_loss == min(run.val_loss for run in runs.values())
    plans = [line for line in caplog.messages if line.startswith("Plan: ")]
    assert plans[0].startswith("Plan: the head, then the last block and the head; each by a learning rate range test")
    assert "accuracy of 100%, after 3 stages that are worse" in plans[0]
    lines = [line for line in caplog.messages if line.startswith("Stage")]
    assert [line.split(",")[0] for line in lines] == [
        "Stage 1 of 2: the head",
        "Stage 2 of 2: the last block and the head",
    ]
    assert f"learning rate {runs[1].settings.learning_rate:.1e}" in lines[1]
    # Asked again, all of it is found.
    assert train(dataset, work=tmp_path / "work", report=silent, mode="gradual", gradual=plan, **SMALL) == best
    assert len(list(Workspace(tmp_path / "work").all(Run))) == 2


def test_all_stages_learn_from_the_dataset_that_was_the_newest_at_first(
    work: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(work, tmp_path / "work", ignore=shutil.ignore_patterns("runs", "checkpoints"))
    find_lr: Any = vars(gradual)["find_lr"]

    def prepared_meanwhile(*given: Any, **settings: Any) -> Any:
        found = find_lr(*given, **settings)
        prepare(work=tmp_path / "work", report=silent, seed=99, shorter_side_px=64)
        return found

    monkeypatch.setattr(gradual, "find_lr", prepared_meanwhile)
    plan = {"stages": [0, 1], "patience": 3}
    train(work=tmp_path / "work", report=silent, mode="gradual", gradual=plan, **SMALL)
    runs = list(Workspace(tmp_path / "work").all(Run))
    assert [run.dataset_id for run in runs] == [dataset.id] * 2
    assert Workspace(tmp_path / "work").load(Dataset).id != dataset.id


def test_a_stage_that_is_stopped_goes_on_with_the_whole_plan(
    work: Path, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the command of then: `--resume` would end with the stage. Another checkpoint is no matter."""
    shutil.copytree(work, tmp_path / "work", ignore=shutil.ignore_patterns("runs", "checkpoints"))
    asked: dict[str, Any] = SMALL | {"mode": "gradual", "gradual": {"stages": [0, 1]}, "epochs": 4}
    checkpoints.begin("other", dataset.id, TrainConfig(), Workspace(tmp_path / "work"))

    def terminated(step: str, done: int, total: int) -> None:
        if (step, done, total) == ("Training epochs", 2, 4):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    with caplog.at_level(logging.INFO, logger="fledged"):
        with pytest.raises(SystemExit):
            train(dataset, work=tmp_path / "work", report=terminated, **asked)
        assert caplog.messages[-1] == AGAIN
        assert not [line for line in caplog.messages if "other settings" in line]
        shutil.copytree(tmp_path / "work", tmp_path / "alone")
        stage = train(work=tmp_path / "alone", report=silent, resume=True)
        assert (stage.settings.unfreeze, stage.n_epochs, stage.interrupted) == (0, 4, False)
        assert caplog.messages[-1].startswith("This is one stage of gradual unfreezing.")
    train(dataset, work=tmp_path / "work", report=silent, **asked)
    assert {run.settings.unfreeze for run in Workspace(tmp_path / "work").all(Run)} == {0, 1}


class Found:
    suggested = 1e-3


def stages(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[tuple[float, float]], error: float = 0.0, **plan: Any
) -> tuple[list[dict[str, Any]], str]:
    """What each stage was asked for, where they end in these (accuracy, loss), and the id of the answer."""
    monkeypatch.setattr(gradual, "find_lr", lambda *_, **__: Found)
    asked: list[dict[str, Any]] = []

    def stage(*_: object, **settings: Any) -> Run:
        asked.append(settings)
        accuracy, loss = outcomes[len(asked) - 1]
        made: dict[str, Any] = {
            "id": f"run{len(asked)}",
            "val_accuracy": accuracy,
            "val_loss": loss,
            "val_loss_error": error,
            "interrupted": False,
        }
        return Run.model_construct(**made)

    settings: dict[str, Any] = TINY | {"seed": 7, "cache": CacheConfig(limit_gigabytes=3)}
    told = gradual.run_stages(stage, None, settings, GradualConfig(**plan), "work", silent)
    return asked, told.best.run_id


def test_it_ends_when_the_target_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, best = stages(monkeypatch, [(0.8, 0.5), (0.96, 0.2), (1.0, 0.1)], stages=(0, 2, 4), target_accuracy=0.95)
    assert [(each["unfreeze"], each.get("start"), each["seed"]) for each in asked] == [(0, None, 7), (2, "run1", 7)]
    assert [each["cache"] for each in asked] == [{"blocks": 4, "limit_gigabytes": 3}] * 2
    assert best == "run2"


def test_a_stage_that_meets_the_target_is_the_answer_though_its_loss_is_higher(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [(0.9, 0.30), (0.97, 0.31), (0.99, 0.1)]
    asked, best = stages(monkeypatch, outcomes, stages=(0, 1, 2), target_accuracy=0.95, patience=3)
    assert len(asked) == 2
    assert best == "run2"


def test_it_ends_when_nothing_better_comes_and_begins_with_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [(0.8, 0.5), (0.9, 0.3), (0.9, 0.4), (0.9, 0.35), (1.0, 0.1)]
    asked, best = stages(monkeypatch, outcomes, stages=(0, 1, 2, 3, 4), patience=2)
    assert [each.get("start") for each in asked] == [None, "run1", "run2", "run2"]
    assert best == "run2"


def test_a_stage_that_is_as_good_as_the_best_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loss is higher by no more than chance; the next one may be better."""
    outcomes = [(0.8, 0.5), (0.9, 0.52), (0.95, 0.3), (0.9, 0.4), (1.0, 0.1)]
    asked, best = stages(monkeypatch, outcomes, error=0.05, stages=(0, 1, 2, 3, 4))
    assert [each.get("start") for each in asked] == [None, "run1", "run1", "run3"]
    assert best == "run3"


def test_a_stage_that_the_network_has_no_blocks_for_is_refused_before_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match=r"`train\.gradual\.stages` ends with 9; timm:test_efficientnet has 7"):
        stages(monkeypatch, [], stages=(0, 9))


def test_of_the_usual_stages_those_are_taken_that_there_are_blocks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradual, "chain", lambda *_: (None,) * 2)
    asked, _ = stages(monkeypatch, [(0.8, 0.5), (0.9, 0.3)])
    assert [each["unfreeze"] for each in asked] == [0, 1]
    assert asked[0]["cache"]["blocks"] == 1


def test_blocks_to_unfreeze_are_not_given_beside_the_plan() -> None:
    settings: dict[str, Any] = TINY | {"mode": "gradual", "unfreeze": 3}
    with pytest.raises(ConfigError, match=r"`train\.unfreeze` is 3, .*train\.gradual\.stages=\[0, 3\]"):
        gradual.run_stages(train, None, settings, GradualConfig(), "work", silent)


def test_stages_grow() -> None:
    with pytest.raises(ConfigError, match=r"`train\.gradual\.stages` .* more blocks than the one before"):
        resolve(TrainConfig, {"gradual": {"stages": [3, 1]}})
