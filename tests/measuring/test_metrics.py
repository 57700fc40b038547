from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fledged.measuring import metrics
from fledged.measuring.metrics import IntArray


@st.composite
def answers(draw: st.DrawFn) -> tuple[IntArray, IntArray, int]:
    """True and predicted class indices, and the number of classes, some of which may be absent."""
    n_classes = draw(st.integers(2, 6))
    n = draw(st.integers(1, 60))
    indices = hnp.arrays(np.int64, n, elements=st.integers(0, n_classes - 1))
    return draw(indices), draw(indices), n_classes


# R 4.3: prop.test(k, n, correct = FALSE)$conf.int
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775328),
        (5, 10, 0.2365931, 0.7634069),
        (8, 10, 0.4901625, 0.9433178),
        (10, 10, 0.7224672, 1.0),
        (1, 1, 0.2065493, 1.0),
    ],
)
def test_wilson_known_values(k: int, n: int, low: float, high: float) -> None:
    figure = metrics.wilson(k, n)
    assert (figure.value, figure.n) == (k / n, n)
    assert figure.low == pytest.approx(low, abs=1e-7)
    assert figure.high == pytest.approx(high, abs=1e-7)


def test_wilson_of_nothing_knows_nothing() -> None:
    figure = metrics.wilson(0, 0)
    assert (figure.low, figure.high, figure.n) == (0.0, 1.0, 0)


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 2), (0, -1)])
def test_wilson_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        metrics.wilson(k, n)


@given(st.integers(1, 2_000_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(counts: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    figure = metrics.wilson(*counts)
    expected = binomtest(*counts).proportion_ci(method="wilson")
    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    assert figure.low == pytest.approx(expected.low, abs=1e-9)
    assert figure.high == pytest.approx(expected.high, abs=1e-9)


@given(answers())
def test_figures_by_class_are_those_of_scikit_learn(case: tuple[IntArray, IntArray, int]) -> None:
    true, predicted, n_classes = case
    labels = list(range(n_classes))
    counts_CC = metrics.confusion(true, predicted, n_classes)
    np.testing.assert_array_equal(counts_CC, reference.confusion_matrix(true, predicted, labels=labels))
    expected = reference.precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    by_class = metrics.by_class(counts_CC, [str(label) for label in labels])
    assert [entry.label for entry in by_class] == [str(label) for label in labels]
    np.testing.assert_allclose([entry.precision for entry in by_class], expected[0])
    np.testing.assert_allclose([entry.recall.value for entry in by_class], expected[1])
    np.testing.assert_allclose([entry.f1 for entry in by_class], expected[2])
    np.testing.assert_array_equal([entry.support for entry in by_class], expected[3])


@given(answers())
def test_averages_are_those_of_scikit_learn(case: tuple[IntArray, IntArray, int]) -> None:
    true, predicted, n_classes = case
    counts_CC = metrics.confusion(true, predicted, n_classes)
    assert metrics.macro_f1(counts_CC) == pytest.approx(reference.f1_score(true, predicted, average="macro"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on answers of a class without photos
        expected = reference.balanced_accuracy_score(true, predicted)
    assert metrics.balanced_accuracy(counts_CC) == pytest.approx(expected)


@given(answers(), st.integers(0, 2**32 - 1))
def test_log_loss_is_that_of_scikit_learn(case: tuple[IntArray, IntArray, int], seed: int) -> None:
    true, _, n_classes = case
    rng = np.random.default_rng(seed)
    probabilities_NC = rng.dirichlet(np.full(n_classes, 0.05), len(true)).astype(np.float32)
    probabilities_NC /= probabilities_NC.sum(axis=1, keepdims=True)
    expected = reference.log_loss(true, probabilities_NC, labels=list(range(n_classes)))
    assert metrics.log_loss(true, probabilities_NC) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_averages_leave_out_classes_that_never_occur() -> None:
    counts_CC = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert metrics.balanced_accuracy(counts_CC) == pytest.approx((0.75 + 1) / 2)
    assert metrics.macro_f1(counts_CC) == pytest.approx((6 / 7 + 8 / 9) / 2)


def test_nothing_at_all() -> None:
    nothing = np.zeros((2, 2), dtype=np.int64)
    assert metrics.balanced_accuracy(nothing) == metrics.macro_f1(nothing) == 0
    assert math.isnan(metrics.log_loss(np.array([], dtype=np.int64), np.zeros((0, 2), dtype=np.float32)))


def test_confusion_refuses_an_index_outside_of_the_classes() -> None:
    with pytest.raises(ValueError, match="n_classes"):
        metrics.confusion(np.array([2]), np.array([1]), 2)
