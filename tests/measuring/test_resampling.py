"""Intervals by group: as wide as theory says, wider where photos are alike, never of no width for want of mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.measuring import resampling
from fledged.measuring.metrics import wilson
from fledged.measuring.resampling import Groups, groups_of


def means(values_N: np.ndarray, groups: Groups) -> np.ndarray:
    columns = np.zeros(len(values_N), dtype=np.int64)
    sums = resampling.totals(groups, resampling.by_group(groups, columns, values_N, 1))
    sizes = resampling.totals(groups, resampling.by_group(groups, columns, np.ones(len(values_N)), 1))
    return (sums / sizes)[:, 0]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
def test_each_resample_draws_as_many_groups_as_there_are(names: list[str]) -> None:
    groups = groups_of(names)
    drawn = np.concatenate(list(resampling.weights(groups, 50)))
    assert drawn.shape == (50, len(set(names)))
    assert (drawn.sum(axis=1) == len(set(names))).all()


def test_sums_are_those_of_the_photos_that_were_drawn() -> None:
    groups = groups_of(["a", "b", "a", "c"])
    values = np.array([1.0, 10.0, 100.0, 1000.0])
    drawn = np.concatenate(list(resampling.weights(groups, groups.n_resamples)))
    sums = resampling.totals(groups, resampling.by_group(groups, np.array([0, 1, 0, 1]), values, 2))
    np.testing.assert_allclose(sums[:, 0], drawn[:, 0] * 101)
    np.testing.assert_allclose(sums[:, 1], drawn[:, 1] * 10 + drawn[:, 2] * 1000)


def test_chunks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = groups_of([str(n) for n in range(40)])
    values = np.random.default_rng(3).normal(size=40)
    at_once = means(values, groups)
    monkeypatch.setattr(resampling, "_CHUNK", 100)
    np.testing.assert_array_equal(means(values, groups), at_once)


def test_many_groups_are_content_with_fewer_resamples() -> None:
    assert groups_of([str(n) for n in range(10)]).n_resamples == 1000
    assert Groups(np.zeros(1, np.int64), 10_000_000).n_resamples == 200


def test_the_spread_is_that_of_the_mean_of_independent_values() -> None:
    values = np.random.default_rng(0).normal(size=500)
    groups = groups_of([str(n) for n in range(500)])
    assert means(values, groups).std() == pytest.approx(values.std() / np.sqrt(500), rel=0.1)


def test_alike_photos_make_the_interval_wider() -> None:
    right = (np.arange(100) % 10 != 0).astype(np.float64)
    alone, in_tens = groups_of([str(n) for n in range(100)]), groups_of([str(n % 10) for n in range(100)])
    of_alone = resampling.accuracy(90, 100, means(right, alone), alone)
    of_tens = resampling.accuracy(90, 100, means(right, in_tens), in_tens)
    assert of_alone == wilson(90, 100)
    assert of_tens.value == of_alone.value
    assert of_tens.low < of_alone.low
    assert of_tens.high > of_alone.high


def test_no_mistake_is_not_certainty() -> None:
    figure = resampling.interval(1.0, np.ones(1000), 50, 20, (0.0, 1.0))
    assert figure.low == pytest.approx(wilson(20, 20).low)
    assert figure.high == 1
    figure = resampling.interval(0.0, np.zeros(1000), 50, 20, (0.0, 2.0))
    assert figure.low == 0
    assert figure.high == pytest.approx(2 * (1 - wilson(20, 20).low))


def test_one_group_alone_says_nothing() -> None:
    for value in (0.0, 0.3, 1.0):
        figure = resampling.interval(value, np.full(1000, value), 7, 1, (0.0, 1.0))
        assert (figure.low, figure.high) == (0.0, 1.0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=60))
def test_an_interval_holds_its_value_and_stays_a_share(photos: list[tuple[bool, int]]) -> None:
    right = np.array([float(is_right) for is_right, _ in photos])
    groups = groups_of([str(group) for _, group in photos])
    figure = resampling.accuracy(int(right.sum()), len(right), means(right, groups), groups)
    alone = wilson(int(right.sum()), len(right))
    assert 0 <= figure.low <= alone.low <= figure.value <= alone.high <= figure.high <= 1
