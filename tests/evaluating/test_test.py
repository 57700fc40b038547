"""Answers to unlabelled photos, as a picture, a page and a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from playwright.sync_api import Browser
from typer.testing import CliRunner

import fledged
from fledged.cli import app
from fledged.errors import LakeError
from fledged.measuring.explanation import Grid
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.showing import album
from tests.browsing import barriers, open_file, until


@pytest.fixture(scope="module")
def folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All photos of the lake without their labels, and a file that is none."""
    place = tmp_path_factory.mktemp("unlabelled") / "<new>"
    (place / "deep").mkdir(parents=True)
    for n, path in enumerate(dataset.members()["path"].sort()):
        (place / "deep" / f"{n:02}.jpg").write_bytes((Path(dataset.lake) / path).read_bytes())
    (place / "note.jpg").write_text("no photo")
    return place


@pytest.fixture(scope="module")
def done(folder: Path, run: Run, work: Path) -> Grid:
    return fledged.test(folder, run, work=work, report=silent, picture=7, gallery=10)


def test_every_photo_has_an_answer_or_a_reason(done: Grid, run: Run) -> None:
    table = pl.read_csv(done.table)
    assert {"path", "predicted", "confidence", *(f"p_{label}" for label in run.classes), "error"} <= set(table.columns)
    assert "label" not in table.columns
    assert table.filter(pl.col("error").is_not_null())["path"].to_list() == ["note.jpg"]
    assert (done.n_photos, done.n_unreadable) == (table.height - 1, 1)
    counts = dict(table.filter(pl.col("accepted")).group_by("predicted").len().rows())
    assert done.by_class == {label: counts.get(label, 0) for label in run.classes}
    assert sum(done.by_class.values()) + done.n_unknown == done.n_photos


def test_strangers_are_told_apart_from_every_class(run: Run, work: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for n in range(4):
        noise = random.integers(0, 256, (80, 80, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{n}.png")
    assert run.unknown is not None
    # As if it had been trained on photos that are all alike.
    strict = run.model_copy(update={"unknown": run.unknown.model_copy(update={"threshold": 0.0})})
    told = fledged.test(tmp_path, strict, work=work, report=silent)
    assert (told.n_unknown, sum(told.by_class.values())) == (4, 0)
    assert "  unknown                  4" in told.lines()
    page = Path(told.page).read_text()
    assert page.count("likeliest ") == 4
    assert '<a href="#unknown">Unknown</a> 4' in page
    explained = fledged.explain(tmp_path / "0.png", strict, work=work, report=silent)
    assert not explained.photos[0].accepted
    assert "unknown, its likeliest:" in explained.lines()[0]
    assert "<strong>Unknown.</strong>" in Path(explained.page).read_text()


def test_the_picture_is_a_grid_of_some_of_all(done: Grid) -> None:
    with Image.open(done.picture) as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height * 0.8  # seven in three columns
        assert not picture.info


def test_the_page_begins_with_the_least_confident(done: Grid, run: Run) -> None:
    html = Path(done.page).read_text()
    assert html.count("<img") == 10
    assert "the 10 least confident are shown" in html
    assert "&lt;new&gt;" in html
    assert "<new>" not in html
    least = pl.read_csv(done.table).drop_nulls("confidence").sort("confidence")["path"][0]
    assert least in html
    assert "not a photo in a known format" in html


def test_asked_again_it_is_the_same(done: Grid, folder: Path, run: Run, work: Path) -> None:
    files = {path: path.read_bytes() for path in Path(done.page).parent.rglob("*.*")}
    assert fledged.test(folder, run, work=work, report=silent, picture=7, gallery=10) == done
    assert {path: path.read_bytes() for path in Path(done.page).parent.rglob("*.*")} == files


def test_nothing_to_answer_is_an_error(run: Run, work: Path, tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("no photo")
    with pytest.raises(LakeError, match="no photo that can be read"):
        fledged.test(tmp_path, run, work=work, report=silent)


def test_in_the_shell(folder: Path, run: Run, work: Path) -> None:
    flags = ["--model", f"run:{run.id}", "--work", str(work)]
    told = CliRunner().invoke(app, ["test", str(folder), *flags, "--set", "test.gallery=3", "--json"])
    assert json.loads(told.stdout)["n_unreadable"] == 1
    told = CliRunner().invoke(app, ["test", str(folder), *flags, "--set", "test.gallery=3"])
    assert "grid.png" in told.stdout
    assert "1 files could not be read" in told.stdout


@pytest.mark.browser
@pytest.mark.parametrize("is_beside", [False, True])
def test_the_page_in_a_real_browser(
    browser: Browser, folder: Path, run: Run, work: Path, is_beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_beside:
        monkeypatch.setattr(album, "INSIDE_BYTES", 0)
    made = fledged.test(folder, run, work=work, report=silent, gallery=20 + is_beside)
    page, complaints = open_file(browser, Path(made.page), width=390)
    page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
    until(page, "[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert barriers(page, "serious", "critical") == []
    assert all("/photos/" in address for address in complaints)
    assert bool(complaints) is is_beside
    page.context.close()
