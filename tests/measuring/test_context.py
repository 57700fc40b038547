"""What stands beside the answers, from a real small run: train and val from cached features, traits from the scan."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fledged.evaluating.evaluate import evaluate, exam_of
from fledged.fitting.batches import read_split
from fledged.measuring import learning, splits, traits
from fledged.measuring.photos import Photo
from fledged.measuring.resampling import groups_of
from fledged.measuring.subject import find_subject
from fledged.networks.inference import run_probabilities
from fledged.products import Dataset, Report, Run
from fledged.progress import silent
from fledged.workspace import Workspace
from fledged.writing import write_bytes
from tests.evaluating.colours import draw
from tests.tiny import TINY


@pytest.fixture(scope="module")
def house(work: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the working folder with the trained run, to evaluate in."""
    folder = tmp_path_factory.mktemp("context") / "work"
    shutil.copytree(work, folder)
    return Workspace(folder)


@pytest.fixture(scope="module")
def report(house: Workspace) -> Report:
    return evaluate(work=house.root, report=silent)


def test_train_and_val_are_answered_as_the_model_itself_would(house: Workspace, report: Report) -> None:
    from fledged import images

    run = house.load(Run)
    dataset = house.load(Dataset)
    probabilities = run_probabilities(run)
    for told in report.other_splits:
        photos = read_split(dataset, "train" if told.split == "train" else "val")
        batch = np.stack([images.model_input(jpeg, run.preprocess) for jpeg in photos["jpeg"]])
        scores = probabilities(batch)
        labels = photos["label"].to_numpy()
        assert told.accuracy.value == pytest.approx((scores.argmax(axis=1) == labels).mean())
        assert told.log_loss == pytest.approx(-np.log(scores[np.arange(len(labels)), labels]).mean(), abs=1e-3)
        assert told.accuracy.n == len(labels)
    assert [told.split for told in report.other_splits] == ["train", "val"]


def test_a_lake_that_is_too_small_for_a_curve_says_so(report: Report) -> None:
    assert report.learning is None
    assert report.not_measured["learning curve"] == "train and val have fewer than 40 groups of photos"


def test_a_curve_comes_from_train_and_val_alone(house: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "FEWEST_GROUPS", 10)
    run, dataset = house.load(Run), house.load(Dataset)
    cached = splits.cached(run, dataset, house)
    assert isinstance(cached, splits.Cached)
    members = dataset.members()
    test_groups = set(members.filter(members["split"] == "test")["group"])
    assert not set(cached.groups) & test_groups
    curve = learning.learning_curve(cached.features_NF, cached.labels_N, groups_of(cached.groups))
    assert curve is not None
    assert curve.points[-1].accuracy.n == dataset.n_in("train") + dataset.n_in("val")


def test_it_can_be_switched_off(house: Workspace, report: Report) -> None:
    other = evaluate(work=house.root, report=silent, learning_curve=False)
    assert other.id != report.id
    assert other.not_measured["learning curve"] == "switched off by evaluate.learning_curve"
    assert "switched off by evaluate.learning_curve" in (other.folder / "report.html").read_text()


def test_without_the_cache_training_itself_is_quoted(house: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(house.root, folder)
    shutil.rmtree(folder / "cache" / "features")
    workspace = Workspace(folder)
    told = evaluate(work=folder, report=silent, gallery=1)
    assert [split.split for split in told.other_splits] == ["train", "val"]
    assert "while the weights moved" in told.other_splits[0].how
    assert told.other_splits[1].accuracy.value == pytest.approx(workspace.load(Run).val_accuracy)
    assert told.not_measured["learning curve"] == "the cached features of its training are not here"


def test_fine_tuned_runs_have_no_frozen_features(house: Workspace) -> None:
    tuned = house.load(Run).model_copy(update={"mode": "finetune"})
    assert "backbone was trained too" in str(splits.cached(tuned, house.load(Dataset), house))


def test_traits_are_those_of_the_scan(house: Workspace) -> None:
    subject = find_subject(house, None)
    exam = exam_of(house, subject, None)
    assert exam.dataset is not None
    found = traits.of_test_split(exam.photos, exam.dataset, house)
    assert found is not None
    assert set(found[traits.SIZE]) == {72.0}
    assert all(isinstance(value, float) and 0 <= value <= 1 for value in found[traits.BRIGHTNESS])
    assert len(found[traits.FOLDER]) == len(exam.photos)
    missing = exam.dataset.model_copy(update={"snapshot_id": "gone"})
    assert traits.of_test_split(exam.photos, missing, house) is None


def test_provenance_becomes_sites_and_queries(clean_lake: Path, tmp_path: Path) -> None:
    from fledged.preparing.prepare import prepare
    from fledged.reviewing.review import review
    from fledged.scanning.scan import scan

    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    paths = sorted(path.relative_to(lake).as_posix() for path in lake.rglob("*.jpg"))
    lines = [
        f'{{"path": "{path}", "source_url": "https://www.site{n % 2}.org/{n}.jpg", "query": "barn owl"}}'
        for n, path in enumerate(paths)
    ]
    write_bytes(lake / "provenance.jsonl", ("\n".join(lines) + "\n").encode())
    work = tmp_path / "work"
    scan(lake, work=work)
    review(work=work, train=TINY)
    dataset = prepare(work=work, shorter_side_px=64)
    photos = [Photo(path, lake / path, 0, "") for path in paths]
    found = traits.of_test_split(photos, dataset, Workspace(work))
    assert found is not None
    assert list(found[traits.SITE])[:3] == ["site0.org", "site1.org", "site0.org"]
    assert set(found[traits.QUERY]) == {"barn owl"}


def test_a_folder_is_probed_as_a_scan_would(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "red" / "deep" / "1.jpg", "red")
    (tmp_path / "train" / "red" / "2.jpg").write_text("no photo")
    paths = ["train/red/deep/1.jpg", "train/red/2.jpg"]
    found = traits.of_folder([Photo(path, tmp_path / path, 0, "") for path in paths], ["red"])
    assert list(found[traits.SIZE]) == [40.0, None]
    assert list(found[traits.FORMAT]) == ["JPEG", None]
    assert list(found[traits.FOLDER]) == ["train/deep", "train"]
    assert found[traits.BRIGHTNESS][1] is None


def test_tensorboard_gets_figures_pictures_and_galleries(house: Workspace, report: Report) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracked = evaluate(work=house.root, report=silent, track="tensorboard")
    assert tracked.id == report.id  # a tracker is no part of what a report is
    run = house.load(Run)
    folder = house.root / "tracking" / "tensorboard" / run.id / f"report-{report.id}"
    written = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    tags = written.Tags()
    assert {"evaluation/accuracy", "evaluation/macro_f1", "evaluation/brier"} <= set(tags["scalars"])
    answered = report.predictions().filter(pl.col("error").is_null())
    is_right = (answered["label"] == answered["predicted"]).to_list()
    galleries = {"evaluation/close_calls": any(is_right), "evaluation/mistakes": not all(is_right)}
    assert {"evaluation/confusion", "evaluation/roc"} <= set(tags["images"])
    assert galleries == {name: name in tags["images"] for name in galleries}
    assert written.Scalars("evaluation/accuracy")[0].value == pytest.approx(report.accuracy.value)
    before = sorted(path.name for path in folder.iterdir())
    evaluate(work=house.root, report=silent, track="tensorboard")
    assert sorted(path.name for path in folder.iterdir()) == before
