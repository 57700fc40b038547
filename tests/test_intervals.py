"""Paired differences: the value is exact, and the interval holds it and is never empty."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.intervals import paired_difference


def test_the_published_example() -> None:
    # Agresti and Min 2005 after Agresti's Categorical Data Analysis: cells 794, 150, 86 and 570 of 1,600 people.
    found = paired_difference(150, 86, 1600)
    assert found.value == pytest.approx(0.04)
    assert found.low == pytest.approx(0.021, abs=5e-4)
    assert found.high == pytest.approx(0.059, abs=5e-4)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 400))
def test_the_interval_holds_the_value(only_first: int, only_second: int, others: int) -> None:
    n = only_first + only_second + others
    found = paired_difference(only_first, only_second, n)
    other = paired_difference(only_second, only_first, n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert found.value == pytest.approx(-other.value)
    assert found.low == pytest.approx(-other.high)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 2 of 4"):
        paired_difference(3, 2, 4)
