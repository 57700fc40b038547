from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import types
import unicodedata
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fledged import images
from fledged.config import resolve
from fledged.errors import ConfigError, LakeError, ProductError
from fledged.evaluating.evaluate import evaluate, exam_of, report_on
from fledged.images import UInt8Array
from fledged.measuring.subject import Float32Array
from fledged.products import Bundle, Dataset, Report, Run
from fledged.progress import silent
from fledged.settings.results import EvaluateConfig
from fledged.workspace import Workspace
from tests.evaluating.colours import (
    CLASSES,
    HOW,
    draw,
    knows_colours,
    save_bundle,
    save_dataset,
    save_run,
    small_lake,
    subject_of,
)

PICTURES = ("confusion", "classes", "roc", "precision_recall")


@dataclasses.dataclass
class House:
    """A lake, a workspace with a run on it, and how often its model was loaded."""

    lake: Path
    photos: list[tuple[str, str]]
    workspace: Workspace
    dataset: Dataset
    run: Run
    n_loads: int = 0

    def evaluate(self, subject: Run | Bundle | str | Path | None = None, folder: Path | None = None) -> Report:
        return evaluate(subject, folder, work=self.workspace.root, report=silent)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    lake = tmp_path / "lake"
    photos = small_lake(lake)
    workspace = Workspace(tmp_path / "work")
    dataset = save_dataset(workspace, lake, photos)
    made = House(lake, photos, workspace, dataset, save_run(workspace, dataset))
    inference, predictor = types.ModuleType("inference"), types.ModuleType("predictor")

    def load(product: Run | Bundle) -> types.SimpleNamespace:
        made.n_loads += 1
        return types.SimpleNamespace(probabilities=knows_colours(product.classes))

    inference.run_probabilities = lambda run: load(run).probabilities  # type: ignore[attr-defined]
    inference.usual_cores, inference.one_core = nullcontext, lambda: None  # type: ignore[attr-defined]
    predictor.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fledged.networks.inference", inference)
    monkeypatch.setitem(sys.modules, "fledged.predicting.predictor", predictor)
    return made


def test_the_test_split_is_judged(house: House) -> None:
    report = house.evaluate()
    assert (report.subject, report.source) == (f"run:{house.run.id}", f"test split of dataset:{house.dataset.id}")
    assert report.classes == CLASSES
    assert report.accuracy.n == len(house.photos) == 14
    assert report.confusion == ((5, 0, 0), (0, 4, 0), (0, 1, 4))
    assert report.accuracy.value == 13 / 14
    assert [entry.support for entry in report.by_class] == [5, 4, 5]
    assert report.n_unreadable == 0
    pictures = {f"figures/{name}.{kind}" for name in PICTURES for kind in ("svg", "png")}
    assert set(report.files) == {"predictions.parquet", "metrics.json", "report.html"} | pictures


def test_predictions_hold_every_answer_in_full(house: House) -> None:
    predictions = house.evaluate().predictions()
    assert predictions.columns == ["path", "label", "predicted", "confidence", "p_blue", "p_green", "p_red", "error"]
    assert predictions["path"].to_list() == sorted(path for path, _ in house.photos)
    assert predictions.schema["p_red"] == predictions.schema["confidence"] == pl.Float32
    batch = np.stack([images.model_input((house.lake / path).read_bytes(), HOW) for path in predictions["path"]])
    expected = knows_colours()(batch)
    np.testing.assert_array_equal(predictions.select("p_blue", "p_green", "p_red").to_numpy(), expected)
    np.testing.assert_array_equal(predictions["confidence"].to_numpy(), expected.max(axis=1))
    wrong = predictions.filter(pl.col("label") != pl.col("predicted"))
    assert wrong.select("path", "label", "predicted").rows() == [("red/really green.jpg", "red", "green")]


def test_metrics_json_says_what_the_report_says(house: House) -> None:
    report = house.evaluate()
    figures = json.loads((report.folder / "metrics.json").read_text())
    record = json.loads(report.model_dump_json())
    shared = set(figures) & set(record)
    assert {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "by_class", "confusion"} < shared
    assert {name: figures[name] for name in shared} == {name: record[name] for name in shared}
    assert str(house.lake) not in (report.folder / "metrics.json").read_text()


def test_changed_vanished_and_broken_files_are_rows_with_a_reason(house: House) -> None:
    draw(house.lake / "red/red0.jpg", "red", seed=77)
    (house.lake / "red/red2.jpg").unlink()
    (house.lake / "green/note.jpg").write_text("no photo")
    photos = [*house.photos, ("green/note.jpg", "green")]
    (house.lake / "red/red3.jpg").unlink()
    (house.lake / "red/red3.jpg").mkdir()
    shutil.copy(house.lake / "green/note.jpg", house.lake / "green/green0.jpg")
    dataset = house.dataset
    assert dataset.members().height == len(photos) + 1
    report = house.evaluate()
    errors = dict(report.predictions().drop_nulls("error").select("path", "error").iter_rows())
    assert errors == {
        "green/green0.jpg": "changed since the scan",
        "red/red0.jpg": "changed since the scan",
        "red/red2.jpg": "vanished since the scan",
        "red/red3.jpg": "cannot be read: not a regular file",
    }
    assert (report.n_unreadable, report.accuracy.n) == (4, 10)
    silent_rows = report.predictions().filter(pl.col("error").is_not_null())
    assert silent_rows.select(pl.exclude("path", "label", "error")).null_count().row(0) == (4,) * 5


def test_a_file_that_was_never_a_photo_is_unreadable(house: House) -> None:
    (house.lake / "green/note.jpg").write_text("no photo")
    dataset = save_dataset(house.workspace, house.lake, [*house.photos, ("green/note.jpg", "green")])
    report = house.evaluate(save_run(house.workspace, dataset, name="40b"))
    assert report.predictions().drop_nulls("error")["error"].to_list() == ["not a photo in a known format"]


def test_asking_twice_does_the_work_once(house: House) -> None:
    first = house.evaluate()
    written = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert house.evaluate() == first
    assert house.n_loads == 1
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == written
    folder_first = house.evaluate(folder=house.lake)
    assert folder_first.id != first.id
    assert house.evaluate(folder=house.lake).id == folder_first.id
    assert house.n_loads == 2
    draw(house.lake / "red/one more.jpg", "red", seed=99)
    assert house.evaluate(folder=house.lake).accuracy.n == folder_first.accuracy.n + 1


def test_a_killed_evaluation_leaves_no_report(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fledged.evaluating.evaluate.render", dies)
        with pytest.raises(KeyboardInterrupt):
            house.evaluate()
    with pytest.raises(ProductError, match="no report yet"):
        house.workspace.load(Report)
    assert house.evaluate().accuracy.n == 14


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (3, 4), (64, 2)])
def test_batches_and_threads_do_not_change_an_answer(house: House, batch_size: int, workers: int) -> None:
    batches: list[int] = []

    def load() -> object:
        def probabilities(batch_NHWC: UInt8Array) -> Float32Array:
            batches.append(len(batch_NHWC))
            return knows_colours()(batch_NHWC)

        return probabilities

    subject = subject_of(house.run, load)  # type: ignore[arg-type]
    config = resolve(EvaluateConfig, {"batch_size": batch_size, "workers": workers})
    report = report_on(subject, exam_of(house.workspace, subject, None), house.workspace, config, silent)
    assert report.predictions().equals(house.evaluate().predictions())
    assert sum(batches) == 14
    assert max(batches) <= batch_size


def test_progress_is_told(house: House) -> None:
    told: list[tuple[str, int, int]] = []
    evaluate(work=house.workspace.root, report=lambda *step: told.append(step), batch_size=4)
    assert told[0] == ("Evaluating", 0, 14)
    assert told[-1] == ("Evaluating", 14, 14)


def test_subjects_by_every_name(house: House) -> None:
    bundle = save_bundle(house.workspace, house.run)
    other = save_run(house.workspace, house.dataset, name="5ec")
    assert house.evaluate().subject == f"run:{other.id}"
    assert house.evaluate(house.run).subject == f"run:{house.run.id}"
    assert house.evaluate(f"run:{house.run.id[:6]}").subject == f"run:{house.run.id}"
    assert house.evaluate(house.run.id).subject == f"run:{house.run.id}"
    bundles = [house.evaluate(name) for name in (bundle, f"bundle:{bundle.id}", bundle.folder, str(bundle.folder))]
    assert [report.subject for report in bundles] == [f"bundle:{bundle.id}"] * 4
    assert len({report.id for report in bundles}) == 1


def test_missing_subjects_say_what_to_do(house: House, tmp_path: Path) -> None:
    with pytest.raises(ProductError, match="does not exist"):
        house.evaluate("run:ffff")
    with pytest.raises(ProductError, match="fledged export"):
        house.evaluate(tmp_path / "no bundle")
    with pytest.raises(ProductError, match="no run yet"):
        evaluate(work=tmp_path / "empty", report=silent)
    with pytest.raises(ConfigError, match="gallery"):
        evaluate(work=house.workspace.root, galery=3)


def test_folders_are_matched_by_name_and_never_by_position(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "holdout"
    for n in range(3):
        draw(folder / "aardvark" / f"{n}.jpg", "red", seed=n)
        draw(folder / "red" / "2024" / "may" / f"{n}.jpg", "red", seed=n)
    draw(folder / "green" / "x.jpg", "green")
    draw(folder / "loose.jpg", "green")
    (folder / "red" / "notes.txt").write_text("not a photo")
    report = house.evaluate(folder=folder)
    assert report.source == "folder holdout"
    assert report.accuracy.value == 1
    assert [entry.support for entry in report.by_class] == [0, 1, 3]
    assert report.folders_without_class == {".": 1, "aardvark": 3}
    assert report.predictions()["path"].to_list() == ["green/x.jpg", *(f"red/2024/may/{n}.jpg" for n in range(3))]


def test_the_order_of_the_models_classes_does_not_matter(house: House) -> None:
    backwards = save_run(house.workspace, house.dataset, classes=CLASSES[::-1], name="bac")
    report = house.evaluate(backwards)
    assert report.classes == ("red", "green", "blue")
    assert report.accuracy.value == 13 / 14
    assert report.confusion == ((4, 1, 0), (0, 4, 0), (0, 0, 5))


def test_a_split_lake_is_a_labelled_folder_too(house: House, tmp_path: Path) -> None:
    draw(tmp_path / "split" / "train" / "red" / "1.jpg", "red")
    draw(tmp_path / "split" / "valid" / "blue" / "1.jpg", "blue")
    assert house.evaluate(folder=tmp_path / "split").accuracy.n == 2


def test_accents_match_however_they_are_composed(house: House, tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "é")
    run = save_run(house.workspace, house.dataset, classes=("red", composed), name="acc")
    draw(tmp_path / "names" / unicodedata.normalize("NFD", composed) / "1.jpg", "blue")
    report = house.evaluate(run, folder=tmp_path / "names")
    assert (report.folders_without_class, report.by_class[1].support) == ({}, 1)


def test_photos_that_the_model_has_seen_are_counted(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    trained = draw(folder / "red" / "old friend.jpg", "red", seed=5)
    draw(folder / "red" / "stranger.jpg", "red", seed=6)
    members = house.dataset.members()
    seen = pl.when(pl.col("split") == "train").then(pl.lit(hashlib.sha256(trained.read_bytes()).hexdigest()))
    members.with_columns(sha256=pl.coalesce(seen, "sha256")).write_parquet(house.dataset.folder / "members.parquet")
    house.workspace.save(house.dataset)
    figures = json.loads((house.evaluate(folder=folder).folder / "metrics.json").read_text())
    assert figures["n_seen"] == 1


def test_a_bundle_from_elsewhere_is_judged_on_a_folder(house: House, tmp_path: Path) -> None:
    bundle = save_bundle(house.workspace, house.run)
    shutil.copytree(bundle.folder, tmp_path / "bundle")
    report = evaluate(tmp_path / "bundle", house.lake, work=tmp_path / "elsewhere", report=silent)
    assert json.loads((report.folder / "metrics.json").read_text())["n_seen"] is None
    with pytest.raises(ProductError, match="dataset"):
        evaluate(tmp_path / "bundle", work=tmp_path / "elsewhere", report=silent)


def test_folders_without_a_photo_to_judge_on(house: House, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no such folder"):
        house.evaluate(folder=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LakeError, match="blue, green, red"):
        house.evaluate(folder=tmp_path / "empty")
    draw(tmp_path / "birds" / "owl" / "1.jpg", "red")
    with pytest.raises(LakeError, match="there are owl/"):
        house.evaluate(folder=tmp_path / "birds")


def test_a_lake_that_is_gone(house: House) -> None:
    shutil.rmtree(house.lake)
    with pytest.raises(LakeError, match=r"None of the 14 photos.*vanished since the scan"):
        house.evaluate()


def test_an_empty_test_split(house: House) -> None:
    dataset = save_dataset(house.workspace, house.lake, [])
    with pytest.raises(LakeError, match="test split is empty"):
        house.evaluate(save_run(house.workspace, dataset, name="40e"))


def test_a_model_without_a_class_of_its_dataset(house: House) -> None:
    run = save_run(house.workspace, house.dataset, classes=("blue", "red"), name="two")
    with pytest.raises(ProductError, match="no class green"):
        house.evaluate(run)


def test_answers_that_are_no_probabilities_are_refused(house: House) -> None:
    def report_with(answer: Float32Array) -> Report:
        subject = subject_of(house.run, lambda: lambda batch_NHWC: answer)
        config = resolve(EvaluateConfig, {"batch_size": 1})
        return report_on(subject, exam_of(house.workspace, subject, None), house.workspace, config, silent)

    with pytest.raises(ProductError, match="not a number"):
        report_with(np.full((1, 3), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match="shape"):
        report_with(np.zeros((1, 2), dtype=np.float32))


def test_the_lake_is_left_as_it_was(house: House) -> None:
    before = {path: path.stat().st_mtime_ns for path in house.lake.rglob("*")}
    house.evaluate()
    house.evaluate(folder=house.lake)
    assert {path: path.stat().st_mtime_ns for path in house.lake.rglob("*")} == before
