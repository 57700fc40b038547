"""What the page shows of photos, with a network that was trained: neighbours, heatmaps, and facts about confusions."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fledged
from fledged.config import resolve
from fledged.measuring.answering import Answers, answer
from fledged.measuring.photos import of_test_split
from fledged.measuring.subject import Subject, find_subject
from fledged.products import Dataset, Review, Run
from fledged.progress import silent
from fledged.settings.results import EvaluateConfig
from fledged.showing import exhibits
from fledged.showing.exhibits import Exhibits, exhibits_of
from fledged.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class House:
    """A run, and its answers to the test split, with labels of which all but one make it wrong."""

    workspace: Workspace
    subject: Subject
    dataset: Dataset
    answers: Answers

    def exhibits(self, dataset: Dataset | None = None, **page: object) -> Exhibits:
        config = resolve(EvaluateConfig, {"page": page})
        return exhibits_of(self.answers, self.subject, dataset or self.dataset, config, self.workspace, silent)


@pytest.fixture(scope="module")
def house(work: Path, run: Run, dataset: Dataset) -> House:
    workspace = Workspace(work)
    subject = find_subject(workspace, run)
    photos = of_test_split(dataset, run.classes)
    answers = answer(photos, subject, resolve(EvaluateConfig, {}), silent)
    labels = (answers.predicted + (np.arange(len(photos)) > 0)) % len(run.classes)
    photos = [dataclasses.replace(photo, class_index=int(label)) for photo, label in zip(photos, labels, strict=True)]
    return House(workspace, subject, dataset, dataclasses.replace(answers, photos=photos))


def test_mistakes_have_neighbours_and_some_photos_have_maps(house: House) -> None:
    shown = house.exhibits(neighbours=2, heatmaps=4, heatmap_blocks=(3, 7))
    wrong = [photo.row for group in shown.gallery.mistakes for photo in group.shown]
    assert shown.neighbours is not None
    assert sorted(shown.neighbours.of) == sorted(wrong)
    assert all(len(near) == 2 for near in shown.neighbours.of.values())
    assert shown.heatmaps is not None
    assert [depth.block for depth in shown.heatmaps.depths] == [3, 7]
    looked = shown.heatmaps.looked
    assert len(looked) == 4
    mistakes = [one for one in looked if one.photo.label != one.photo.predicted]
    assert mistakes == list(looked[: len(mistakes)])  # they come first
    assert len(mistakes) == 3 < len(wrong)  # and leave a third to right answers
    assert all(one.for_true is None for one in looked if one not in mistakes)
    assert all(len(one.maps) == 2 for one in looked)
    assert all((one.seen.width_px, one.seen.height_px) == (64, 64) for one in looked)
    every = {photo.thumbnail for group in shown.gallery.right for photo in (*group.least, *group.most)}
    assert every <= set(shown.pictures())


def test_none_is_none(house: House) -> None:
    shown = house.exhibits(neighbours=0, heatmaps=0)
    assert (shown.neighbours, shown.heatmaps) == (None, None)


def test_a_bundle_shows_the_network_that_it_was_made_of(house: House, tmp_path: Path) -> None:
    bundle = dataclasses.replace(house.subject, name="bundle:b", run=None)
    assert dataclasses.replace(house, subject=bundle).exhibits(heatmaps=1).heatmaps is not None
    elsewhere = dataclasses.replace(house, subject=bundle, workspace=Workspace(tmp_path))
    assert elsewhere.exhibits().heatmaps is None
    assert elsewhere.exhibits().neighbours is None


def test_photos_under_two_labels_are_counted_from_the_review(house: House, tmp_path: Path) -> None:
    (one, *_), other = house.answers.photos, house.answers.classes[1]
    other_file = dataclasses.replace(one, sha256="0" * 64)  # of the same path in another folder
    of_other = house.dataset.members().filter(pl.col("label") == other)["path"][0]
    for related, expected in ((of_other, 1), (one.path, 0)):
        place = tmp_path / Path(related).stem
        review = Workspace(house.workspace.root).load(Review, house.dataset.review_id)
        rows = [{"kind": "label_conflict", "path": related, "related_path": one.path}]
        rows.append({"kind": "near_duplicate", "path": of_other, "related_path": one.path})
        found = review.findings().head(0)
        shutil.copytree(review.folder, place / "reviews" / review.id)
        table = pl.concat([found, pl.DataFrame(rows, schema_overrides=found.schema)], how="diagonal_relaxed")
        (place / "reviews" / review.id / "findings.parquet").unlink()
        table.write_parquet(place / "reviews" / review.id / "findings.parquet")
        workspace = Workspace(place)
        workspace.save(review)
        assert exhibits._n_copies([one], other, house.dataset, workspace) == expected
        assert exhibits._n_copies([other_file], other, house.dataset, workspace) == 0
    assert exhibits._n_copies([one], other, house.dataset, Workspace(tmp_path / "nowhere")) is None
    assert exhibits._n_copies([one], other, None, house.workspace) is None


def test_a_report_of_a_trained_run_is_the_same_bytes_again(run: Run, work: Path, dataset: Dataset) -> None:
    made = fledged.evaluate(run, work=work, report=silent)
    names = [name for name in made.files if name != "report.html"]
    first = {name: (made.folder / name).read_bytes() for name in names}
    pages = [(made.folder / "report.html").read_text()]
    shutil.rmtree(made.folder)
    again = [sys.executable, "-m", "fledged", "evaluate", f"run:{run.id}", "--work", str(work)]
    elsewhere = {**os.environ, "PYTHONHASHSEED": "7"}  # sets have another order
    subprocess.run(again, env=elsewhere, check=True, capture_output=True)
    assert {name: (made.folder / name).read_bytes() for name in names} == first
    pages.append((made.folder / "report.html").read_text())
    assert len({page.partition("<time")[0] + page.partition("</time>")[2] for page in pages}) == 1
    assert 'id="looked"' in pages[0]
    assert "Grad-CAM, Selvaraju et al. 2017" in pages[0]
    assert pages[0].count('<figure class="look') == min(9, made.accuracy.n)
    without = fledged.evaluate(run, work=work, report=silent, page={"heatmaps": 0})
    assert 'id="looked"' not in (without.folder / "report.html").read_text()
