"""Photos with heatmaps: a page and pictures that hold what the model says, also of hostile names and broken files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from typer.testing import CliRunner

import fledged
from fledged import images
from fledged.cli import app
from fledged.errors import ConfigError, ProductError, RequestError
from fledged.measuring.explanation import Explanation
from fledged.networks.inference import run_probabilities
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.workspace import Workspace
from tests.browsing import barriers, open_file, until
from tests.evaluating.colours import save_dataset, save_run, small_lake

HOSTILE = "<b onclick=x>&{{ 7 }}.jpg"


@pytest.fixture(scope="module")
def folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos, one of a hostile name, and a file that is none."""
    place = tmp_path_factory.mktemp("looked at")
    members = dataset.members()
    paths = members.filter(members["split"] == "test")["path"].sort().head(2)
    for path, name in zip(paths, ("plain.jpg", HOSTILE), strict=True):
        (place / name).write_bytes((Path(dataset.lake) / path).read_bytes())
    (place / "note.jpg").write_text("no photo")
    return place


@pytest.fixture(scope="module")
def done(folder: Path, run: Run, work: Path) -> Explanation:
    return fledged.explain(folder, run, work=work, report=silent)


def test_the_answer_is_the_models_own(done: Explanation, folder: Path, run: Run) -> None:
    assert done.subject == f"run:{run.id}"
    hostile, note, plain = done.photos
    assert note.error == "not a photo in a known format"
    assert (hostile.path, plain.path) == (str(folder / HOSTILE), str(folder / "plain.jpg"))
    square = images.model_input((folder / "plain.jpg").read_bytes(), run.preprocess)
    scores = run_probabilities(run)(np.stack([square]))[0]
    assert [one.score for one in plain.scores] == pytest.approx(sorted(scores.tolist(), reverse=True)[:5])
    assert plain.label == run.classes[int(scores.argmax())]
    assert plain.confidence == pytest.approx(float(scores.max()))
    assert plain.left_by_heat is not None
    assert 0 <= plain.left_by_heat <= 1
    # At 64 px the network has maps of 16, 8, 4 and 2 cells.
    assert done.blocks == (3, 4, 5, 7)


def test_a_picture_a_photo_under_a_harmless_name(done: Explanation) -> None:
    names = [Path(photo.picture).name for photo in done.photos if photo.picture]
    assert names == ["001-_b_onclick_x_7_.png", "003-plain.png"]
    with Image.open(done.photos[2].picture) as picture:
        assert picture.format == "PNG"
        assert picture.width > 7 * 200  # the photo, what was seen, four depths, and another class


def test_the_same_again_is_the_same_bytes(done: Explanation, folder: Path, run: Run, work: Path) -> None:
    files = {path: path.read_bytes() for path in Path(done.page).parent.iterdir()}
    assert fledged.explain(folder, run, work=work, report=silent) == done
    assert {path: path.read_bytes() for path in Path(done.page).parent.iterdir()} == files


def test_blocks_and_classes_are_chosen(folder: Path, run: Run, work: Path) -> None:
    asked = fledged.explain(folder / "plain.jpg", run, work=work, report=silent, blocks=(5, 3), top_k=2)
    assert asked.blocks == (3, 5)
    assert len(asked.photos[0].scores) == 2
    with pytest.raises(ConfigError, match="Block 99 has no map of places"):
        fledged.explain(folder / "plain.jpg", run, work=work, report=silent, blocks=(99,))


def test_what_cannot_be_explained_is_named(folder: Path, run: Run, work: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such photo"):
        fledged.explain(tmp_path / "nothing.jpg", run, work=work, report=silent)
    lake, workspace = tmp_path / "lake", Workspace(tmp_path / "work")
    without_weights = save_run(workspace, save_dataset(workspace, lake, small_lake(lake)))
    with pytest.raises(ProductError, match=r"The weights of run .* are not here"):
        fledged.explain(folder, without_weights, work=workspace.root, report=silent)


def test_in_the_shell(folder: Path, run: Run, work: Path) -> None:
    flags = ["--model", f"run:{run.id}", "--work", str(work)]
    told = CliRunner().invoke(app, ["explain", str(folder / "plain.jpg"), *flags, "--json"])
    assert json.loads(told.stdout)["photos"][0]["label"] in run.classes
    told = CliRunner().invoke(app, ["explain", str(folder), *flags])
    assert "note.jpg\terror: not a photo in a known format" in told.stdout
    assert "explain.html" in told.stdout
    assert CliRunner().invoke(app, ["explain", str(folder / "note.jpg"), *flags]).exit_code == 2


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)])
def test_the_page_in_a_real_browser(browser: Browser, done: Explanation, width: int, dark: bool) -> None:
    page, complaints = open_file(browser, Path(done.page), width=width, dark=dark)
    page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
    until(page, "[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.locator("section").count() == 3
    assert page.locator("img").count() == 14
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "<b onclick=x>" in page.inner_text("main")
    assert page.locator("b[onclick]").count() == 0
    assert barriers(page) == []
    assert complaints == []
    page.context.close()
