"""Slices: thirds and words, p-values by hand and by scipy, and no alarm where there is only chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.measuring import slices as slicing
from fledged.measuring.resampling import Groups, groups_of


def alone(n: int) -> Groups:
    return groups_of([str(i) for i in range(n)])


def test_a_dark_third_that_fails_is_named() -> None:
    brightness = [n / 300 for n in range(300)]
    traits: dict[str, slicing.Values] = {"brightness": brightness, "format": ["JPEG"] * 300}
    right = np.array([n >= 100 or n % 2 == 0 for n in range(300)])
    found = slicing.slices(traits, right, alone(300))
    assert [part.value for part in found] == ["up to 0.33", "0.33 to 0.663", "over 0.663"]
    assert [part.is_worse for part in found] == [True, False, False]
    assert found[0].accuracy.value == 0.5
    assert found[0].accuracy.n == 100
    assert found[0].rest.value == 1.0
    assert [part.value for part in slicing.weakest(found)] == ["up to 0.33"]


def test_chance_raises_an_alarm_once_in_twenty_at_most() -> None:
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(40):
        traits: dict[str, slicing.Values] = {str(trait): random.random(200).tolist() for trait in range(6)}
        alarms += any(part.is_worse for part in slicing.slices(traits, random.random(200) < 0.9, alone(200)))
    assert alarms <= 5


def test_alike_photos_do_not_make_a_slice_look_bad() -> None:
    """Twenty copies of one wrong photo are one mistake, not twenty."""
    right = np.array([False] * 20 + [True] * 180)
    traits: dict[str, slicing.Values] = {"folder": ["a"] * 60 + ["b"] * 140}
    together = groups_of(["copies"] * 20 + [str(n) for n in range(180)])
    assert slicing.slices(traits, right, alone(200))[1].is_worse
    assert not any(part.is_worse for part in slicing.slices(traits, right, together))


def test_rare_words_are_one_slice_and_small_ones_are_none() -> None:
    words = [f"site {n}" for n in range(12) for _ in range(10)] + ["alone"] * 3 + [None] * 5
    right = np.ones(len(words), dtype=np.bool_)
    found = slicing.slices({"site": words}, right, alone(len(words)))
    assert len(found) == 8
    assert found[-1].value == slicing.OTHERS
    assert found[-1].accuracy.n == 53
    assert found[0].accuracy.n + found[0].rest.n == 123  # those whose site is not known are on neither side
    assert slicing.slices({"site": ["a"] * 30 + ["b"] * 9}, right[:39], alone(39)) == ()


def test_what_all_photos_share_is_no_slice() -> None:
    right = np.ones(50, dtype=np.bool_)
    traits: dict[str, slicing.Values] = {"size": [416.0] * 50, "format": ["JPEG"] * 50, "site": [None] * 50}
    assert slicing.slices(traits, right, alone(50)) == ()
    assert slicing.slices({}, right, alone(50)) == ()


@given(st.lists(st.floats(0, 1, width=32), min_size=30, max_size=90))
def test_each_photo_is_in_one_third(values: list[float]) -> None:
    parts = slicing._by_third(np.array(values))
    np.testing.assert_array_equal(np.sum([is_in for _, is_in in parts], axis=0), 1)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(1, n), st.just(n))), st.data())
def test_fishers_tail_is_that_of_scipy(counts: tuple[int, int, int], data: st.DataObject) -> None:
    from scipy.stats import hypergeom

    n_right_all, n, n_all = counts
    lowest, highest = max(0, n - (n_all - n_right_all)), min(n, n_right_all)
    n_right = data.draw(st.integers(lowest, highest))
    expected = float(hypergeom.cdf(n_right, n_all, n_right_all, n))
    assert slicing.fewer_by_chance(n_right, n, n_right_all, n_all) == pytest.approx(expected, abs=1e-9)


def test_holms_correction_by_hand() -> None:
    assert slicing.corrected([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert slicing.corrected([0.9, 0.8]) == [1.0, 1.0]
    assert slicing.corrected([]) == []
