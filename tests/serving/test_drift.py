from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.exporting.spread import histogram
from fledged.measured import Histogram, Spread
from fledged.serving.drift import MIN_PHOTOS, WINDOW, Window, psi

COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=12)


def spread_of(values: np.ndarray) -> Spread:
    return Spread(n_photos=len(values), confidence=histogram(values), unknown_score=histogram(1 - values))


def test_the_index_is_that_of_the_formula() -> None:
    expected, actual = [100, 300, 600], [300, 300, 400]
    exact = (0.3 - 0.1) * math.log(3) + (0.4 - 0.6) * math.log(0.4 / 0.6)
    assert psi(expected, actual) == pytest.approx(exact, rel=0.02)  # but for half a photo in each bin


@given(COUNTS)
def test_the_same_shares_have_none(counts: list[int]) -> None:
    assert psi(counts, counts) == pytest.approx(0)


@given(st.data(), COUNTS)
def test_it_is_finite_and_never_negative(data: st.DataObject, counts: list[int]) -> None:
    other = data.draw(st.lists(st.integers(0, 1000), min_size=len(counts), max_size=len(counts)))
    assert 0 <= psi(counts, other) < 100


def test_photos_of_the_same_source_show_about_what_chance_does() -> None:
    draw = np.random.default_rng(7)
    window = Window(spread_of(draw.beta(5, 1, 2000)))
    for value in draw.beta(5, 1, WINDOW):
        window.add(float(value), float(1 - value))
    for drift in window.drifts():
        assert drift.n_photos == WINDOW
        assert drift.psi_by_chance == pytest.approx(9 * (1 / 2000 + 1 / WINDOW))
        assert drift.psi < 4 * drift.psi_by_chance < 0.1


def test_photos_of_another_source_show() -> None:
    draw = np.random.default_rng(7)
    window = Window(spread_of(draw.beta(5, 1, 2000)))
    for value in draw.beta(2, 2, WINDOW):
        window.add(float(value), None)
    (drift,) = window.drifts()  # nobody added an unknown score
    assert drift.of == "confidence"
    assert drift.psi > 0.25


def test_the_window_rolls_and_begins_when_there_are_enough() -> None:
    draw = np.random.default_rng(7)
    window = Window(spread_of(draw.beta(5, 1, 2000)))
    for value in draw.beta(2, 2, MIN_PHOTOS - 1):
        window.add(float(value), 0.5)
    assert window.drifts() == []
    for value in draw.beta(5, 1, WINDOW):
        window.add(float(value), float(1 - value))
    assert {drift.n_photos for drift in window.drifts()} == {WINDOW}
    assert all(drift.psi < 0.1 for drift in window.drifts())


def test_an_older_bundle_has_none() -> None:
    window = Window(None)
    for _ in range(200):
        window.add(0.5, 0.5)
    assert window.drifts() == []


def test_equal_values_are_one_bin() -> None:
    assert histogram(np.full(50, 0.9)) == Histogram(edges=(0.9,), counts=(0, 50))


def test_a_histogram_counts_every_value() -> None:
    values = np.random.default_rng(7).random(1000)
    made = histogram(values)
    assert sum(made.counts) == 1000
    assert len(made.counts) == len(made.edges) + 1 == 10
    assert max(made.counts) - min(made.counts) <= 1
