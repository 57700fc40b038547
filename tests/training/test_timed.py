"""What is trained in a given time: chosen, told, the same as without, and over when the time is."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fledged.errors import ConfigError
from fledged.products import Dataset
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training import probe, timed
from fledged.training.budget import Clock, Cost, Planned, why_no_more
from fledged.training.job import Job, job_of
from fledged.training.reproduce import reproduce
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.tiny import TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}}


@pytest.fixture
def own_work(work: Path, tmp_path: Path) -> Path:
    """A copy of the working folder, with its features in the cache."""
    shutil.copytree(work, tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "_PROBE_S", 1.0)
    monkeypatch.setattr(timed, "_SETTLE_S", 0.1)
    monkeypatch.setattr(probe, "_BLOCKS", (1, 5))


def stop_after(n_epochs: int) -> Callable[[str, int, int], None]:
    def report(step: str, done: int, total: int) -> None:
        if step == "Training epochs" and done == n_epochs:
            raise KeyboardInterrupt

    return report


def test_what_fits_is_trained_and_is_the_run_that_its_settings_ask_for(
    dataset: Dataset, own_work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start_s = time.monotonic()
    with caplog.at_level(logging.INFO, logger="fledged"):
        run = train(dataset, work=own_work, report=silent, time="60s", unfreeze=1, **SMALL)
    assert time.monotonic() - start_s < 60 * 1.1
    assert (run.mode, run.settings.unfreeze, run.settings.views) == ("finetune", 1, 4)
    assert 1 <= run.n_epochs <= 5
    assert caplog.messages[0].startswith("Plan for 60 s: the last block and the head, 4 views a photo")
    settings = {name: value for name, value in run.settings if name != "track"}
    assert train(dataset, work=own_work, report=silent, **settings).id == run.id


def test_blocks_are_chosen_where_they_are_not_given(dataset: Dataset, own_work: Path) -> None:
    what = probe.opened(job(dataset, own_work))
    assert timed._cuts(TrainConfig(), what) == (0, 1, 3, 6)
    assert timed._cuts(TrainConfig(mode="transfer"), what) == (0,)
    assert timed._cuts(TrainConfig(mode="finetune"), what) == (-1,)
    assert timed._cuts(TrainConfig(mode="scratch"), what) == (-1,)
    assert timed._cuts(TrainConfig(unfreeze=2), what) == (2,)
    assert timed._cuts(TrainConfig(mode="finetune", unfreeze=0), what) == (0,)
    assert timed._cuts(TrainConfig(unfreeze=0), what) == (0,)
    assert timed._cuts(TrainConfig(unfreeze=-1), what) == (-1,)


def test_little_time_is_for_a_head(dataset: Dataset, own_work: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="fledged"):
        run = train(dataset, work=own_work, report=silent, time="60s", mode="transfer", views=1, **SMALL)
    assert (run.mode, run.settings.views, run.settings.epochs, run.n_epochs) == ("transfer", 1, 60, 60)
    assert "Plan for 60 s: the head, 1 view a photo, 60 epochs, 64 px" in caplog.messages


def test_a_network_without_a_cut_for_as_many_epochs_as_were_asked_for(dataset: Dataset, own_work: Path) -> None:
    run = train(dataset, work=own_work, report=silent, time="2m", mode="scratch", epochs=1, **SMALL)
    assert (run.settings.unfreeze, run.n_epochs, run.interrupted) == (-1, 1, False)


def test_an_epoch_that_would_be_too_many_is_not_begun(dataset: Dataset, own_work: Path) -> None:
    long = {**SMALL, "unfreeze": 1, "views": 1, "epochs": 9000}
    train(dataset, work=own_work, report=stop_after(1), **long)
    start_s = time.monotonic()
    run = train(work=own_work, report=silent, resume=True, time="4s")
    assert time.monotonic() - start_s < 60  # all epochs would take an hour
    assert run.interrupted
    assert 1 < run.n_epochs < 9000
    assert reproduce(run, work=own_work, report=silent).is_equal
    # And on it goes.
    assert train(work=own_work, report=stop_after(run.n_epochs + 2), resume=True).n_epochs == run.n_epochs + 2


def job(dataset: Dataset, work: Path, **settings: Any) -> Job:
    config = TrainConfig.model_validate({**SMALL, "views": 2, **settings})
    return job_of(dataset, config, Workspace(work), silent)


def test_views_that_take_too_long_are_left_out(dataset: Dataset, own_work: Path) -> None:
    of_blocks = job(dataset, own_work, unfreeze=3)
    cost = Cost(3, 64, 0, 0, 0, (1, 1000), 1, (8, 30))
    what = probe.opened(of_blocks)
    assert timed._filled(of_blocks, Planned(cost, 2, 8), what, Clock(100)) == 1
    assert timed._filled(of_blocks, Planned(cost, 2, 8), what, Clock(10_000)) == 2


def test_views_that_there_is_time_for_after_all_are_added(dataset: Dataset, own_work: Path) -> None:
    of_head = job(dataset, own_work, mode="transfer", views=3)
    cost = Cost(0, 64, 0, 0, 0, (1, 50, 50), 0.1, (20, 60))
    what = probe.opened(of_head)
    assert timed._filled(of_head, Planned(cost, 1, 60), what, Clock(40)) == 1
    # The second one, for which 50 s were expected, is over at once, and so is the third.
    assert timed._filled(of_head, Planned(cost, 1, 60), what, Clock(80)) == 3


def test_photos_are_smaller_where_nothing_else_fits_and_larger_where_all_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def costs(job_with: Callable[..., Any], *_: object) -> list[Cost]:
        return [Cost(0, px := job_with().size_px, 0, 0, 0, (px,), 0.1, (20, 60))]

    fixed_px: int | None = None

    def job_with(**settings: Any) -> Any:
        size_px = settings["input"].size_px if settings else 224
        return SimpleNamespace(size_px=size_px, backbone=SimpleNamespace(fixed_px=fixed_px))

    monkeypatch.setattr(timed, "_costs", costs)
    monkeypatch.setattr(timed, "_cuts", lambda *_: (0,))
    monkeypatch.setattr(probe, "opened", lambda job: job)

    def size_in(time_s: float, most_px: int = 256, **given: Any) -> int:
        asked = TrainConfig.model_validate(given)
        return timed._chosen(asked, job_with, (1,), job_with(), Clock(time_s), most_px)[0].cost.size_px

    assert [size_in(time_s) for time_s in (300, 270, 200, 150, 120)] == [256, 224, 160, 128, 96]
    assert size_in(300, most_px=224) == 224  # the copies have no more
    assert size_in(300, input={"size_px": 224}) == 224
    assert size_in(300, mode="scratch") == 224
    assert size_in(300, start="run") == 224
    asked = TrainConfig()
    plan, rungs, _ = timed._chosen(asked, job_with, (1,), job_with(), Clock(270), 256)
    assert why_no_more(plan, rungs, 0) == "the head, 1 view a photo, 60 epochs, 256 px, would take about 262 s"
    with pytest.raises(ConfigError, match="--time 120s"):
        size_in(100)
    fixed_px = 224  # a backbone that takes no others
    assert size_in(300) == 224
    with pytest.raises(ConfigError, match="In 120 s nothing"):
        size_in(120)
    with pytest.raises(ConfigError, match="--time 270s"):
        size_in(200, input={"size_px": 224})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"time": "soon"}, "no time"),
        ({"time": "9m", "mode": "gradual"}, "Gradual"),
        ({"time": "9m", "resume": True}, "planned before"),
        ({"time": "1s"}, "nothing can be trained"),
    ],
)
def test_what_cannot_be(dataset: Dataset, work: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        train(dataset, work=work, report=silent, **SMALL, **settings)
