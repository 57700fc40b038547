"""Figures over all classes: values are those of scikit-learn, intervals hold what was simulated."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.measuring import metrics
from fledged.measuring.overall import measure
from fledged.measuring.resampling import groups_of


@st.composite
def answered(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """True classes (N,), probabilities (N, C), groups."""
    n_classes = draw(st.integers(2, 6))
    n = draw(st.integers(1, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    true = random.integers(n_classes, size=n)
    probabilities = random.dirichlet(np.full(n_classes, 0.5), n).astype(np.float32)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return true.astype(np.int64), probabilities, [str(group) for group in random.integers(max(1, n // 2), size=n)]


@settings(max_examples=40, deadline=None)
@given(answered())
def test_values_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    true, probabilities, groups = case
    n_classes = probabilities.shape[1]
    classes = tuple(str(i) for i in range(n_classes))
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    found = measure(true, predicted, probabilities, classes, groups_of(groups))
    assert found.accuracy.value == pytest.approx(reference.accuracy_score(true, predicted))
    weighted = reference.f1_score(true, predicted, average="weighted", zero_division=0)
    assert found.overall.weighted_f1.value == pytest.approx(weighted)
    assert metrics.weighted_f1(metrics.confusion(true, predicted, n_classes)) == pytest.approx(weighted)
    if n_classes == 2:
        ours = reference.brier_score_loss(true, probabilities[:, 1].astype(np.float64), pos_label=1)
        assert found.overall.brier.value == pytest.approx(2 * ours, abs=1e-6)
    squared = np.square(np.eye(n_classes)[true] - probabilities).sum(axis=1).mean()
    assert found.overall.brier.value == pytest.approx(squared, abs=1e-6)
    for top in found.overall.top_k:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = reference.top_k_accuracy_score(true, probabilities, k=top.k, labels=range(n_classes))
        assert top.accuracy.value == pytest.approx(expected)
    assert [top.k for top in found.overall.top_k] == [k for k in (2, 3, 5) if k < n_classes]
    for name in ("balanced_accuracy", "macro_f1", "weighted_f1", "log_loss", "brier"):
        figure = getattr(found.overall, name)
        assert figure.low <= figure.value <= figure.high
    for entry in found.by_class:
        if entry.support:
            assert entry.f1_interval is not None
            assert entry.f1_interval.low <= entry.f1 <= entry.f1_interval.high


def test_the_one_versus_rest_areas_are_the_mean_of_scikit_learns() -> None:
    random = np.random.default_rng(1)
    true = random.integers(4, size=200)
    probabilities = random.dirichlet(np.ones(4), 200).astype(np.float32)
    found = measure(true, probabilities.argmax(axis=1), probabilities, tuple("abcd"), groups_of([str(n) for n in true]))
    expected = np.mean([reference.roc_auc_score(true == i, probabilities[:, i]) for i in range(4)])
    assert found.overall.macro_auc is not None
    assert found.overall.macro_auc.value == pytest.approx(expected)


def test_intervals_of_macro_f1_and_brier_hold_the_truth_nineteen_times_in_twenty() -> None:
    """Groups of three photos that are right or wrong together, drawn many times from a known population."""
    random = np.random.default_rng(7)
    held = {"balanced_accuracy": 0, "brier": 0}
    truth = {"balanced_accuracy": 0.8, "brier": 2 * (0.8 * 0.3**2 + 0.2 * 0.7**2)}
    n_trials = 60
    for _ in range(n_trials):
        of_group = np.repeat(random.integers(2, size=80), 3)
        is_right = np.repeat(random.random(80) < 0.8, 3)
        predicted = np.where(is_right, of_group, 1 - of_group)
        probabilities = np.where(np.arange(2) == predicted[:, None], 0.7, 0.3).astype(np.float32)
        groups = groups_of([f"{n // 3}" for n in range(240)])
        overall = measure(of_group, predicted, probabilities, ("a", "b"), groups).overall
        for name, value in truth.items():
            figure = getattr(overall, name)
            held[name] += figure.low <= value <= figure.high
    assert all(n / n_trials >= 0.85 for n in held.values()), held


def test_ranks_follow_the_answer_where_scores_are_equal() -> None:
    scores = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4]], dtype=np.float32)
    np.testing.assert_array_equal(metrics.ranks(np.array([0, 1, 0]), scores), [0, 1, 2])


def test_a_perfect_brier_is_none_and_the_worst_is_two() -> None:
    scores = np.array([[1, 0], [1, 0]], dtype=np.float32)
    np.testing.assert_array_equal(metrics.brier_scores(np.array([0, 1]), scores), [0, 2])
