"""The picture and the page of augmented views: the very pixels of training, and nothing is trained."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from fledged.augmenting import before_after
from fledged.augmenting.before_after import Row, Shown, show_augmented
from fledged.augmenting.views import view
from fledged.errors import ConfigError
from fledged.fitting.batches import read_split
from fledged.products import Dataset, Preprocess
from tests.browsing import barriers, open_file
from tests.preloaded import python

HOSTILE = ("<b onclick='x'>&{% raw %}", "Straße", "plain", "鳥 птица")


@pytest.fixture(scope="module")
def hostile(dataset: Dataset) -> Dataset:
    """The dataset, its classes under other names."""
    return dataset.model_copy(update={"classes": HOSTILE})


@pytest.fixture(scope="module")
def shown(hostile: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return show_augmented(
        hostile, work=tmp_path_factory.mktemp("shown"), input={"size_px": 64}, augment="rotate_rgb_cutout"
    )


def test_it_shows_photos_of_each_class_beside_views_and_trains_nothing(shown: Shown, hostile: Dataset) -> None:
    assert (shown.n_photos, shown.n_views) == (8, 6)
    folder = shown.picture.parent
    assert folder.parts[-2:] == ("augmented", hostile.id)
    assert sorted(path.name for path in folder.parents[1].rglob("*.*")) == [shown.page.name, shown.picture.name]
    with Image.open(shown.picture) as picture:
        assert picture.size == (8 + 7 * 168, 26 + 8 * 194)


def test_the_same_recipe_gives_the_same_files(shown: Shown, hostile: Dataset, tmp_path: Path) -> None:
    again = show_augmented(hostile, work=tmp_path, input={"size_px": 64}, augment="rotate_rgb_cutout")
    assert again.picture.read_bytes() == shown.picture.read_bytes()
    assert again.page.read_bytes() == shown.page.read_bytes()


def test_the_pictures_are_what_training_sees(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = []
    sheet = before_after._sheet

    def noted(shown: list[Row]) -> Image.Image:
        rows.extend(shown)
        return sheet(shown)

    monkeypatch.setattr(before_after, "_sheet", noted)
    monkeypatch.setattr(before_after, "_TILE_PX", 64)
    augment = show_augmented(dataset, work=tmp_path, input={"size_px": 64}, augment="crop_rotate").augment
    assert [row.label for row in rows] == [label for label in dataset.classes for _ in range(2)]
    photos = read_split(dataset, "train")["jpeg"].to_list()
    how = Preprocess(size_px=64)
    third = {view(jpeg, how, 3, augment.recipe).tobytes() for jpeg in photos}
    assert all(np.asarray(row.pictures[3]).tobytes() in third for row in rows)


def test_of_many_classes_the_first_are_shown_and_the_rest_counted(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_after, "_MAX_CLASSES", 3)
    few = show_augmented(dataset, work=tmp_path, input={"size_px": 64})
    assert few.n_photos == 3
    assert "1 more class is not shown" in few.page.read_text()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_shows_hostile_names_as_they_are(browser: Browser, shown: Shown, width: int, dark: bool) -> None:
    page, complaints = open_file(browser, shown.page, width=width, dark=dark)
    assert complaints == []
    assert page.locator("h2.name").all_inner_texts() == list(HOSTILE)
    assert page.locator("figure img").count() == 8 * 7
    assert page.evaluate("[...document.images].every(image => image.naturalWidth === 160)")
    assert page.locator(".steps li").count() == 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert barriers(page) == []


def test_without_augmentation_it_says_so(dataset: Dataset, tmp_path: Path) -> None:
    nothing = show_augmented(dataset, work=tmp_path, input={"size_px": 64}, augment="none")
    assert "every view is the photo as served" in nothing.page.read_text()


def test_a_wrong_setting_is_an_error_before_anything_is_written(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean `cutout`"):
        show_augmented(dataset, work=tmp_path, augment="cutuot")
    assert not list(tmp_path.iterdir())


def test_the_command_prints_where_they_are_and_what_comes_next(work: Path, dataset: Dataset) -> None:
    runs = {path.name for path in (work / "runs").glob("*")}
    flags = ["--set", "train.input.size_px=64", "--set", "train.augment.steps=['horizontal_flip']"]
    command = [*python(), "-m", "fledged", "train", "--show-augmented", "--work", str(work), *flags]
    done = subprocess.run([*command, dataset.id], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "Augmented 8 photos, 6 views each, by own"
    assert all(Path(line.split(maxsplit=1)[1]).is_file() for line in lines[1:3])
    assert lines[3].startswith(f"Next: fledged train --work {work}")
    assert {path.name for path in (work / "runs").glob("*")} == runs
