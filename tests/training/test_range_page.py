"""The page of a range test: its figures, what it fetches (nothing), and how it looks to a screen reader."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from fledged import summary
from fledged.config import parse_assignments, resolve
from fledged.products import Dataset, RangeTest
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training.job import job_of
from fledged.training.lr_finder import find_lr
from fledged.training.range_page import PAGE, plot_of, render, train_command
from fledged.workspace import Workspace
from tests.browsing import barriers, open_file
from tests.tiny import BACKBONE, TINY


@pytest.fixture(scope="module")
def made(work: Path, tmp_path_factory: pytest.TempPathFactory) -> RangeTest:
    own = tmp_path_factory.mktemp("page") / "work"
    shutil.copytree(work, own)
    settings = TINY | {"input": {"size_px": 64}, "optimize": {"optimizer": "sgd"}}
    return find_lr(work=own, report=silent, train=settings, steps=40)


@pytest.mark.browser
def test_where_most_photos_fit_already_the_usual_rate_is_the_suggestion(
    browser: Browser, made: RangeTest, dataset: Dataset, tmp_path: Path
) -> None:
    flat = made.model_copy(update={"fits_already": True, "usual": 0.037})
    words = f"learning rate 0.037, the usual one, since most photos fit already ({len(made.rates)} rates"
    assert summary.lines(flat)[0].startswith(f"Range test {made.id}  {words}")
    assert train_command(flat, dataset).startswith("fledged train --learning-rate 0.037 ")
    (tmp_path / PAGE).write_text(render(flat, dataset))
    page, complaints = open_file(browser, tmp_path / PAGE)
    assert complaints == []
    assert page.locator(".big").inner_text() == "0.037"
    assert page.locator(".mark").all_inner_texts() == ["usual 0.037"]
    assert "It fits most photos already" in page.locator(".lead").inner_text()
    page.context.close()


def test_the_next_step_asks_for_the_very_training_that_the_rate_is_for(made: RangeTest, dataset: Dataset) -> None:
    rate = f"{made.suggested:.2g}"
    command = train_command(made, dataset)
    assert command.startswith(f"fledged train --learning-rate {rate} --backbone {BACKBONE} --weights ")
    assert "--set train.optimize.optimizer=sgd" in command
    lines = summary.lines(made)
    assert lines[0].startswith(f"Range test {made.id}  learning rate {rate} by the valley")
    assert lines[1] == f"Page: {made.folder / PAGE}"
    assert lines[2].endswith(f"Next: {command}")


STEPS = ["horizontal_flip", {"step": "random_resized_crop", "area": [0.5, 1]}, {"step": "rotate", "degrees": 15}]


@pytest.mark.parametrize(
    "asked",
    [
        {"mode": "finetune", "batch_size": 4, "seed": 7},
        {"unfreeze": 2, "views": 3, "augment": {"steps": STEPS}},
        {"mode": "scratch", "augment": "cutout", "head": {"hidden": 16}, "optimize": {"clip_norm": 0.5}},
        {"views": 2, "loss": {"mixup": 0.2}, "input": {"size_px": 32, "resize": "pad"}, "balance": "sampling"},
    ],
    ids=str,
)
def test_whatever_was_asked_for_is_asked_for_again(
    made: RangeTest, dataset: Dataset, work: Path, asked: dict[str, Any]
) -> None:
    """The words of the command, read as the shell reads them, are the settings of the range test."""
    settings = job_of(
        dataset, TrainConfig.model_validate(TINY | {"input": {"size_px": 32}} | asked), Workspace(work), silent
    ).config
    words = shlex.split(train_command(made.model_copy(update={"settings": settings}), dataset))[2:]
    pairs = list(zip(words[::2], words[1::2], strict=True))
    flags = [f"train.{flag[2:].replace('-', '_')}={value}" for flag, value in pairs if flag != "--set"]
    given = parse_assignments([*flags, *(value for flag, value in pairs if flag == "--set")])["train"]
    again = job_of(dataset, resolve(TrainConfig, given), Workspace(work), silent).config
    assert again.learning_rate == pytest.approx(made.suggested, rel=0.05)
    changed = {"learning_rate": settings.learning_rate, "weights": settings.weights}
    assert again.model_copy(update=changed) == settings


def test_what_is_drawn_lies_in_its_frame(made: RangeTest) -> None:
    wild = made.model_copy(update={"losses": (*made.losses[:-1], 1e9), "smoothed": (*made.smoothed[:-1], 1e9)})
    for case in (made, wild, made.model_copy(update={"tried": made.tried.model_copy(update={"growth": "linear"})})):
        plot = plot_of(case)
        points = [tuple(map(float, point.split(","))) for point in plot.line.split()]
        assert len(points) == len(plot.dots) == len(case.rates)
        assert all(0 <= value <= 100 for point in [*points, *plot.dots] for value in point)
        assert [x for x, _ in plot.dots] == sorted(x for x, _ in plot.dots)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (1280, True)])
def test_the_page_opens_offline_without_a_complaint(
    browser: Browser, made: RangeTest, dataset: Dataset, width: int, dark: bool
) -> None:
    page, complaints = open_file(browser, made.folder / PAGE, width=width, dark=dark)
    assert complaints == []
    assert page.locator(".big").inner_text() == f"{made.suggested:.2g}"
    assert train_command(made, dataset) in page.locator(".next").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("summary").click()
    assert page.locator("tbody tr").count() == len(made.rates)
    assert barriers(page) == []
    page.context.close()
