"""A bundle is written only if it answers as the run was evaluated, and it can be moved anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fledged.errors import ParityError, ProductError
from fledged.exporting import export as exporting
from fledged.exporting.export import export
from fledged.exporting.served import Served, in_fp32
from fledged.predicting.predictor import load
from fledged.products import Bundle, Report, Run
from fledged.progress import silent
from fledged.workspace import Workspace


@pytest.fixture(scope="module")
def bundle(run: Run, judged: Report, work: Path) -> Bundle:
    return export(run, work=work, report=silent)


def changed(change: Callable[[onnx.ModelProto], None]) -> Callable[..., Served]:
    def served(run: Run, workspace: Workspace) -> Served:
        right = in_fp32(run, workspace)
        model = onnx.load_from_string(right.onnx)
        change(model)
        return replace(right, onnx=bytes(model.SerializeToString()))

    return served


def bias_by(amount: float) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name == "head.bias":
                bias = numpy_helper.to_array(tensor).copy()
                bias[0] += amount
                tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))

    return change


def lengths_by(amount: float) -> Callable[[onnx.ModelProto], None]:
    """Changes scores, and neither labels nor probabilities."""

    def change(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name == "unknown.lengths":
                lengths = numpy_helper.to_array(tensor) + np.float32(amount)
                tensor.CopyFrom(numpy_helper.from_array(lengths, tensor.name))

    return change


def test_the_bundle_states_what_it_is_and_how_good(bundle: Bundle, run: Run, judged: Report) -> None:
    assert (bundle.classes, bundle.preprocess, bundle.run_id) == (run.classes, run.preprocess, run.id)
    assert bundle.accuracy == judged.accuracy
    assert (bundle.parity.n_photos, bundle.parity.label_agreement) == (judged.accuracy.n, 1.0)
    assert bundle.parity.max_abs_difference <= 1e-3
    assert bundle.parity.max_abs_score_difference is not None
    assert bundle.parity.max_abs_score_difference <= 1e-3
    assert (bundle.calibration, bundle.unknown) == (run.calibration, run.unknown)
    assert bundle.unknown is not None
    assert set(bundle.files) == {"model.onnx", "MODEL_CARD.md", "reference.json"}


def test_the_bundle_answers_as_the_report_says(bundle: Bundle, judged: Report, clean_lake: Path) -> None:
    predictor = load(bundle)
    columns = ["path", "predicted", "confidence", "unknown_score", "accepted"]
    for path, predicted, confidence, score, accepted in judged.predictions().select(columns).rows():
        answer = predictor.predict(clean_lake / path)
        assert answer.label == predicted
        assert answer.confidence == pytest.approx(confidence, abs=1e-3)
        assert answer.unknown_score == pytest.approx(score, abs=1e-3)
        assert answer.accepted is accepted


def test_a_copy_elsewhere_can_be_opened_and_a_damaged_one_cannot(bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(bundle.folder, copy)
    assert load(copy).bundle.id == bundle.id
    data = bytearray((copy / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.onnx").write_bytes(bytes(data))
    with pytest.raises(ProductError, match=r"not what was written.*model\.onnx"):
        load(copy)


def test_asking_again_finds_it(bundle: Bundle, run: Run, work: Path) -> None:
    assert export(run, work=work, report=silent) == bundle


def test_scores_that_are_others_are_not_exported_either(
    run: Run, judged: Report, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "in_fp32", changed(lengths_by(0.1)))
    with pytest.raises(ParityError, match=r"0 of \d+ labels differ, .*unknown scores by up to 0\.0\d"):
        export(run, work=work, report=silent, parity_photos=997)


@pytest.mark.parametrize(("amount", "words"), [(0.05, "probabilities by up to"), (50.0, "labels differ")])
def test_an_export_that_answers_otherwise_is_not_written(
    run: Run, judged: Report, work: Path, monkeypatch: pytest.MonkeyPatch, amount: float, words: str
) -> None:
    monkeypatch.setattr(exporting, "in_fp32", changed(bias_by(amount)))
    before = sorted(work.rglob("bundle.json"))
    with pytest.raises(ParityError, match=words):
        export(run, work=work, report=silent, parity_photos=999)
    assert sorted(work.rglob("bundle.json")) == before
    assert not list(Path(work, "bundles").glob("*/model.onnx")) or all(
        (path.parent / "bundle.json").exists() for path in Path(work, "bundles").glob("*/model.onnx")
    )


def test_a_run_that_was_not_evaluated_is_not_exported(run: Run, work: Path, tmp_path: Path) -> None:
    own = tmp_path / "work"
    shutil.copytree(work, own)
    shutil.rmtree(own / "reports")
    with pytest.raises(ProductError, match=r"has not been evaluated.*fledged evaluate"):
        export(work=own, report=silent)


def test_without_any_test_photo_left_nothing_is_claimed(
    run: Run, work: Path, tmp_path: Path, clean_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fledged.exporting.parity._input", lambda *_: None)
    with pytest.raises(ParityError, match="No test photo is left"):
        export(run, work=work, report=silent, parity_photos=998)


def test_the_card_says_what_was_measured(bundle: Bundle, judged: Report, run: Run) -> None:
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    for fact in (
        bundle.id,
        run.id,
        judged.id,
        f"{judged.accuracy.value:.1%}",
        run.backbone.weights_origin,
        *run.classes,
    ):
        assert fact in card


def test_hostile_class_names_do_not_break_the_card(bundle: Bundle, judged: Report, run: Run, work: Path) -> None:
    from fledged.exporting.card import _cell

    assert _cell("a|b\n<script>`x`") == "a\\|b &lt;script>'x'"
    assert np.isfinite(bundle.parity.max_abs_difference)
