"""How refused photos are counted, and how classes are left out in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from fledged.evaluating.evaluate import evaluate
from fledged.measuring.answering import Answers
from fledged.measuring.photos import Photo
from fledged.measuring.unknown import Labelled, accepted_at, left_out_in_turn, unknown_of, why_not
from fledged.products import Dataset, Report, Run, Unknown
from fledged.progress import silent
from fledged.workspace import Workspace

scores = st.lists(st.floats(0, 3, width=16), min_size=1, max_size=120)


@settings(max_examples=100, deadline=None)
@given(scores, scores)
def test_the_false_positive_rate_is_scikit_learns(known: list[float], unknown: list[float]) -> None:
    is_known = np.repeat([1, 0], [len(known), len(unknown)])
    # A photo is accepted where its score is low.
    false_positive, true_positive, _ = roc_curve(is_known, -np.array([*known, *unknown]), drop_intermediate=False)
    expected = false_positive[np.argmax(true_positive >= 0.95 - 1e-12)]
    assert accepted_at(np.array(known), np.array(unknown), 0.95) == pytest.approx(expected)


def blobs(n_classes: int, per_class: int, seed: int) -> Labelled:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).random((n_classes, 24))
    labels = np.repeat(np.arange(n_classes), per_class)
    features = centres[labels] + random.normal(size=(len(labels), 24)) * 0.15
    return Labelled(features.astype(np.float32), labels.astype(np.int64))


def test_each_class_is_left_out_once_and_its_auroc_counts_pairs() -> None:
    train, asked = blobs(4, 30, 1), blobs(4, 12, 2)
    found = left_out_in_turn(train, asked, ("a", "b", "c", "d"))
    assert [of.label for of in found] == ["a", "b", "c", "d"]
    assert {(of.n_known, of.n_unknown) for of in found} == {(36, 12)}
    from fledged.networks.knowing import regions_of

    known = train.labels_N != 2
    of_asked = regions_of(train.features_NF[known], train.labels_N[known]).scores(asked.features_NF)
    out, others = of_asked[asked.labels_N == 2], of_asked[asked.labels_N != 2]
    pairs = (out[:, None] > others).mean() + (out[:, None] == others).mean() / 2
    assert found[2].auroc == pytest.approx(pairs)
    assert found[2].auroc > 0.9


def test_a_class_without_photos_is_not_left_out_and_of_many_classes_ten_are() -> None:
    train, asked = blobs(3, 10, 1), blobs(3, 5, 2)
    without = asked.labels_N != 1
    some = Labelled(asked.features_NF[without], asked.labels_N[without])
    assert [of.label for of in left_out_in_turn(train, some, ("a", "b", "c"))] == ["a", "c"]
    names = tuple(f"class {i}" for i in range(25))
    found = left_out_in_turn(blobs(25, 4, 1), blobs(25, 2, 2), names)
    assert len({of.label for of in found}) == 10
    assert (found[0].label, found[-1].label) == ("class 0", "class 24")


def test_refused_photos_are_counted() -> None:
    photos = [Photo(f"{i}", Path(f"{i}"), i % 2, "") for i in range(6)]
    says = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9], [0.7, 0.3], [np.nan, np.nan]], np.float32)
    far = np.array([0.5, 1.5, 0.9, 1.0, 1.2, np.nan], np.float32)
    known = Unknown(threshold=1.0, share_kept=0.95, n_photos=40)
    answers = Answers(photos, ("a", "b"), says, (None,) * 5 + ("gone",), known, far)
    assert answers.accepted.tolist() == [True, False, True, True, False]
    table = answers.table()
    assert table["accepted"].to_list() == [True, False, True, True, False, None]
    assert table["unknown_score"].to_list()[-1] is None
    figures = unknown_of(answers, known, why_not(None, None), ())
    assert (figures.accepted.value, figures.accepted.n, figures.refused.value) == (0.6, 5, 0.4)
    assert (figures.right_accepted.n, figures.right_accepted.value) == (3, 2 / 3)
    assert (figures.right_refused.n, figures.right_refused.value) == (2, 1.0)
    assert figures.left_out == ()
    assert figures.why_none


def test_a_run_is_asked_about_classes_that_it_was_not_told_of(work: Path, run: Run, dataset: Dataset) -> None:
    report = evaluate(run, work=work, report=silent)
    assert report.unknown is not None
    assert report.calibration is not None
    assert report.unknown.why_none == ""
    assert [of.label for of in report.unknown.left_out] == [
        label for label in dataset.classes if dataset.photos_by_split["val"].get(label)
    ]
    predictions = report.predictions()
    assert report.unknown.accepted.value == pytest.approx(predictions["accepted"].mean())
    assert run.unknown is not None
    assert (predictions["accepted"] == (predictions["unknown_score"] <= run.unknown.threshold)).all()
    opened = Workspace(work).load(Report, report.id)
    assert opened.unknown == report.unknown


def test_why_no_class_is_left_out(run: Run, dataset: Dataset) -> None:
    assert why_not(run, dataset) == ""
    assert "not at hand" in why_not(run, None)
    assert "trained" in why_not(run.model_copy(update={"mode": "finetune"}), dataset)
    assert "two classes" in why_not(run.model_copy(update={"classes": ("a", "b")}), dataset)
