"""Areas under curves are those of scikit-learn, with weights and ties; curves go where they should."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from fledged.measuring import ranking
from fledged.measuring.resampling import groups_of

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def weighted(draw: st.DrawFn) -> Case:
    """Whether photos are of a class (both kinds occur), scores with many ties, and weights."""
    n = draw(st.integers(2, 40))
    is_of_class = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    is_of_class[:2] = [True, False]
    scores = np.array(draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))) / 6
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=np.float64)
    weights[:2] = 1
    return is_of_class, scores, weights


@given(weighted())
def test_areas_are_those_of_scikit_learn(case: Case) -> None:
    is_of_class, scores, weights = case
    order = ranking.order_of(is_of_class, scores)
    auc, precision = (area[0] for area in ranking.areas(order, weights[None]))
    assert auc == pytest.approx(reference.roc_auc_score(is_of_class, scores, sample_weight=weights))
    assert precision == pytest.approx(reference.average_precision_score(is_of_class, scores, sample_weight=weights))


@given(weighted())
def test_curves_are_those_of_scikit_learn(case: Case) -> None:
    is_of_class, scores, _ = case
    true = np.where(is_of_class, 0, 1).astype(np.int64)
    probabilities = np.stack([scores, 1 - scores], axis=1).astype(np.float32)
    first = ranking.curves(true, probabilities, ("a", "b"))[0]
    false, found, _ = reference.roc_curve(is_of_class, probabilities[:, 0], drop_intermediate=False)
    known = {(round(float(x), 5), round(float(y), 5)) for x, y in zip(false, found, strict=True)}
    assert set(first.roc) <= known
    assert (first.roc[0], first.roc[-1]) == ((0.0, 0.0), (1.0, 1.0))
    x, y = np.array(first.roc).T
    assert np.trapezoid(y, x) == pytest.approx(reference.roc_auc_score(is_of_class, probabilities[:, 0]), abs=1e-3)
    recall = [point[0] for point in first.precision_recall]
    assert recall == sorted(recall)
    assert recall[-1] == 1


def test_a_resample_without_a_class_has_no_say() -> None:
    order = ranking.order_of(np.array([True, False, False]), np.array([0.9, 0.5, 0.1]))
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    auc, precision = ranking.areas(order, weights)
    np.testing.assert_array_equal(auc, [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(precision, [1.0, np.nan, 1.0])


def test_classes_without_photos_have_no_area() -> None:
    true = np.array([0, 1, 0, 1])
    scores = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1], [0.3, 0.6, 0.1]], dtype=np.float32)
    found = ranking.ranked(true, scores, groups_of(list("abcd")))
    assert found.auc[2] is None
    assert found.average_precision[2] is None
    assert found.auc[0] is not None
    assert found.macro_auc is not None
    assert found.macro_auc.value == 1.0
    assert found.macro_auc.low < 1.0  # four photos prove little
    nothing = ranking.ranked(np.zeros(4, np.int64), scores, groups_of(list("abcd")))
    assert nothing.macro_auc is None


def test_long_curves_are_thinned_to_what_can_be_seen() -> None:
    random = np.random.default_rng(0)
    true = random.integers(2, size=5000)
    scores = random.random(5000).astype(np.float32)
    curve = ranking.curves(true, np.stack([scores, 1 - scores], axis=1), ("a", "b"))[0]
    assert len(curve.roc) <= 201
    assert curve.roc[-1] == (1.0, 1.0)
