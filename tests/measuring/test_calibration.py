"""Reliability bins and calibration error, against cases by hand and plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.measuring.answering import Answers
from fledged.measuring.calibration import bins, calibration_of, ece, ece_by_chance
from fledged.measuring.photos import Photo
from fledged.products import Calibration


def test_a_case_by_hand() -> None:
    confidence = np.array([0.6] * 20 + [0.9] * 20)
    right = np.array([True] * 10 + [False] * 10 + [True] * 19 + [False])
    low, high = bins(confidence, right)
    assert (low.n, high.n) == (20, 20)
    assert low.confidence == pytest.approx(0.6)
    assert high.confidence == pytest.approx(0.9)
    assert (low.right.value, high.right.value) == (0.5, 0.95)
    assert ece((low, high)) == pytest.approx((0.1 + 0.05) / 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=400))
def test_bins_are_of_equal_size_and_their_error_is_that_of_a_plain_loop(answers: list[tuple[float, bool]]) -> None:
    confidence, right = np.array([c for c, _ in answers]), np.array([r for _, r in answers])
    found = bins(confidence, right)
    sizes = [entry.n for entry in found]
    assert sum(sizes) == len(answers)
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == max(1, min(10, len(answers) // 20))
    rows, error = sorted(range(len(answers)), key=lambda i: confidence[i]), 0.0
    for size in sizes:
        part, rows = rows[:size], rows[size:]
        error += abs(sum(right[i] - confidence[i] for i in part)) / len(answers)
    assert ece(found) == pytest.approx(error, abs=1e-12)
    means = [entry.confidence for entry in found]
    assert means == sorted(means)


def test_the_error_by_chance_is_what_true_confidences_show() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 300)
    errors = [ece(bins(confidence, random.random(300) < confidence)) for _ in range(200)]
    assert ece_by_chance(confidence) == pytest.approx(np.mean(errors), rel=0.05)
    assert ece_by_chance(np.ones(50)) == 0
    assert ece_by_chance(confidence) == ece_by_chance(confidence)


def test_before_is_without_the_temperature() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 4.0], [1.0, 0.0]] * 10)
    warm = np.exp(logits / 2) / np.exp(logits / 2).sum(1, keepdims=True)
    plain = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    photos = [Photo(f"{i}.jpg", Path(f"{i}.jpg"), 0, "") for i in range(30)]
    answers = Answers(photos, ("a", "b"), warm.astype(np.float32), (None,) * 30)
    figures = calibration_of(answers, Calibration(temperature=2.0, n_photos=40))
    assert (figures.temperature, figures.n_validation) == (2.0, 40)
    assert figures.before[0].confidence == pytest.approx(plain.max(1).mean(), abs=1e-6)
    assert figures.after[0].confidence == pytest.approx(warm.max(1).mean(), abs=1e-6)
    assert figures.before[0].right == figures.after[0].right
    assert figures.before[0].right.value == pytest.approx(2 / 3)
