"""The page of a range test: its figures, what it fetches (nothing), and how it looks to a screen reader."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from fledged import summary
from fledged.products import RangeTest
from fledged.progress import silent
from fledged.training.lr_finder import find_lr
from fledged.training.range_page import PAGE, plot_of, train_command
from tests.browsing import barriers, open_file
from tests.tiny import TINY


@pytest.fixture(scope="module")
def made(work: Path, tmp_path_factory: pytest.TempPathFactory) -> RangeTest:
    own = tmp_path_factory.mktemp("page") / "work"
    shutil.copytree(work, own)
    settings = TINY | {"input": {"size_px": 64}, "optimize": {"optimizer": "sgd"}}
    return find_lr(work=own, report=silent, train=settings, steps=40)


def test_the_next_step_names_the_settings_that_the_rate_is_for(made: RangeTest) -> None:
    rate = f"{made.valley:.2g}"
    assert train_command(made) == f"fledged train --learning-rate {rate} --set train.optimize.optimizer=sgd"
    tuned = made.model_copy(update={"settings": made.settings.model_copy(update={"mode": "finetune"})})
    assert "--mode finetune" in train_command(tuned)
    lines = summary.lines(made)
    assert lines[0].startswith(f"Range test {made.id}  learning rate {rate} by the valley")
    assert lines[1] == f"Page: {made.folder / PAGE}"
    assert lines[2].endswith(f"Next: {train_command(made)}")


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
def test_the_page_opens_offline_without_a_complaint(browser: Browser, made: RangeTest, width: int, dark: bool) -> None:
    page, complaints = open_file(browser, made.folder / PAGE, width=width, dark=dark)
    assert complaints == []
    assert page.locator(".big").inner_text() == f"{made.valley:.2g}"
    assert train_command(made) in page.locator(".next").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("summary").click()
    assert page.locator("tbody tr").count() == len(made.rates)
    assert barriers(page) == []
    page.context.close()
