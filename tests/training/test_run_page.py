"""The page of a run: its curves, what it fetches (nothing), how it looks to a screen reader; and the picture."""

from __future__ import annotations

import io
import itertools
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from playwright.sync_api import Browser

from fledged import summary
from fledged.networks.census import size_of
from fledged.product_files import open_product
from fledged.products import Dataset, Run
from fledged.training import run_page
from fledged.training.curves import Chart, charts, smoothed
from fledged.training.picture import png
from fledged.training.run_files import tell_stages
from fledged.training.stages import Stage, Stages
from fledged.training.unusual import unusual
from fledged.workspace import Workspace
from tests.browsing import barriers, open_file

LOSSES = st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=1500)


def history_of(losses: list[float]) -> pl.DataFrame:
    n = len(losses)
    accuracy = [0.5] * n
    figures = {"train_loss": losses, "val_loss": losses, "train_accuracy": accuracy, "val_accuracy": accuracy}
    return pl.DataFrame({"epoch": range(1, n + 1), **figures})


def steps_of(losses: list[float]) -> pl.DataFrame:
    n = len(losses)
    return pl.DataFrame({"step": range(1, n + 1), "epoch": [1] * n, "loss": losses, "learning_rate": [0.1] * n})


@given(losses=LOSSES)
def test_what_is_drawn_lies_in_its_frame_and_is_no_more_than_can_be_seen(losses: list[float]) -> None:
    for chart in charts(history_of(losses[:20]), steps_of(losses), 1):
        places = [place for line in chart.lines for place in line.places] + list(chart.dots)
        assert all(0 <= value <= 100 for place in places for value in place)
        for line in chart.lines:
            assert 0 < len(line.places) <= 401
            assert all(one[0] <= other[0] for one, other in itertools.pairwise(line.places))
        assert len(chart.dots) <= 500


def test_the_curves_are_those_of_the_run(run: Run) -> None:
    accuracy, loss, batch, rate = charts(run.history(), run.steps(), run.best_epoch)
    assert [chart.title.split(" by ")[1] for chart in (accuracy, loss, batch, rate)] == [
        "epoch",
        "epoch",
        "step",
        "step",
    ]
    assert [line.name for line in loss.lines] == ["training", "validation"]
    assert all(len(line.places) == run.n_epochs for line in loss.lines)
    assert loss.best == loss.lines[1].places[run.best_epoch - 1]
    assert loss.best is not None
    assert loss.best[1] == max(y for _, y in loss.lines[1].places)  # the lowest loss lies deepest
    assert loss.best_name == f"epoch {run.best_epoch}: {run.val_loss:.3g}"
    assert len(batch.dots) == len(run.steps())
    assert (rate.first, rate.last) == ("step 1", str(len(run.steps())))


def test_an_exponential_mean_is_corrected_for_its_start() -> None:
    assert smoothed([3.0] * 40, 10) == pytest.approx([3.0] * 40)
    assert smoothed([1.0, 0.0], 3) == pytest.approx([1.0, 1 / 3])


def test_a_single_epoch_of_a_single_step_is_drawn_in_the_middle() -> None:
    drawn = charts(history_of([0.7]), steps_of([0.7]), 1)
    assert [line.places[0][0] for chart in drawn for line in chart.lines] == [50.0] * 6
    assert Image.open(io.BytesIO(png(drawn, "one"))).size == (1440, 936)


def colours(chart: Chart) -> set[tuple[int, ...]]:
    picture = Image.open(io.BytesIO(png([chart], "Ünïcode 漢字")))
    found = picture.getcolors(maxcolors=1 << 20)
    assert found is not None
    return {colour for _, colour in found if isinstance(colour, tuple)}


def test_the_picture_shows_the_lines_and_the_best_epoch(run: Run) -> None:
    accuracy, _, batch, _ = charts(run.history(), run.steps(), run.best_epoch)
    assert {(0x0A, 0x6A, 0x94), (0xB0, 0x3F, 0x1A)} <= colours(accuracy)
    assert (0xB0, 0x3F, 0x1A) not in colours(batch)
    assert (0xA9, 0xAF, 0xB6) in colours(batch)
    with Image.open(run.folder / run_page.PICTURE) as picture:
        assert picture.size == (1440, 936)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.84, "0.8 s"), (9.96, "10 s"), (59.7, "1 min 0 s"), (185, "3 min 5 s"), (7805, "2 h 10 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert run_page.duration(seconds) == words


def test_settings_that_are_not_the_usual_ones_are_named(run: Run, dataset: Dataset) -> None:
    assert [name for name, _, _ in unusual(run.settings, dataset)] == ["epochs", "views", "input.size_px"]
    changes: dict[str, Any] = {"seed": 7, "optimize": run.settings.optimize.model_copy(update={"schedule": "step"})}
    told = unusual(run.settings.model_copy(update=changes), dataset)
    assert ("optimize.schedule", "step", "one_cycle") in told
    assert ("seed", "7", "42") in told


def test_the_page_is_named_where_the_run_is_told_of(run: Run) -> None:
    assert summary.lines(run)[1] == f"Page: {run.folder / 'run.html'}"
    stopped = run.model_copy(update={"interrupted": True})
    assert [line.split()[-1] for line in summary.lines(stopped)[1:3]] == ["--resume", str(run.folder / "run.html")]


@pytest.fixture
def staged(work: Path, run: Run, tmp_path: Path) -> Run:
    """The run as the best of two stages."""
    shutil.copytree(work, tmp_path / "work")
    workspace = Workspace(tmp_path / "work")
    base = {"unfreeze": 0, "learning_rate": 0.0012, "val_accuracy": 0.625, "is_better": True}
    other = run.model_copy(update={"id": "0123456789ab"})
    shutil.copytree(run.folder, workspace.folder("run", other.id))
    workspace.save(other)
    first = Stage.model_validate({**base, "run_id": other.id, "val_loss": 0.9})
    second = Stage.model_validate({**base, "run_id": run.id, "val_loss": 0.4, "unfreeze": 3})
    ended = "2 stages in a row brought nothing better"
    third = second.model_copy(update={"run_id": other.id, "is_better": False, "val_loss": 0.8})
    told = Stages(stages=(first, second, third), n_planned=5, target_accuracy=0.95, ended=ended)
    return tell_stages(told, workspace)


def test_all_stages_are_on_the_page_of_each(staged: Run, run: Run) -> None:
    assert staged.id == run.id
    workspace = Workspace(staged.folder.parent.parent)
    assert workspace.load(Run).id == run.id  # the best is the newest
    for one in (staged, workspace.load(Run, "0123456789ab")):
        page = (one.folder / run_page.PAGE).read_text()
        assert page.count("<h3>Stage ") == 3
        assert "No stage followed: 2 stages in a row brought nothing better." in page
        assert open_product(Run, one.folder) == one  # its files are those that its record names


def test_the_same_run_gives_the_same_page(run: Run, dataset: Dataset) -> None:
    page = run_page.render(run, dataset, size_of(run))
    assert page == (run.folder / run_page.PAGE).read_text()
    assert f"{size_of(run).n_trained:,} of {size_of(run).n_parameters:,} parameters" in page


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (1280, True), (390, True)])
def test_the_page_opens_offline_without_a_complaint(browser: Browser, staged: Run, width: int, dark: bool) -> None:
    page, complaints = open_file(browser, staged.folder / run_page.PAGE, width=width, dark=dark)
    assert complaints == []
    assert page.locator(".curve").count() == 4
    assert page.locator(".flow > li.kept").count() == 1
    assert page.locator(".blocks tbody tr").count() == len(size_of(staged).blocks)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("summary").click()
    assert page.locator("details tbody tr").count() == staged.n_epochs
    assert barriers(page) == []
    page.context.close()
