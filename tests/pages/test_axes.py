"""Axes hold what is drawn on them, with few round ticks."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fledged.pages import axes


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
@example(0.0, 5e-324)
def test_linear_axes_hold_their_range_with_few_round_ticks(low: float, span: float) -> None:
    axis = axes.axis(low, low + span)
    slack = 1e-6 * max(abs(low), span, 1e-6)
    assert axis.low <= low + slack
    assert axis.high >= low + span - slack
    assert 2 <= len(axis.ticks) <= 8
    assert all(a < b for a, b in zip(axis.ticks, axis.ticks[1:], strict=False))
    assert (axis.at(axis.low), axis.at(axis.high)) == (0, 100)


@given(st.floats(1, 1e9), st.floats(1, 1e9))
def test_logarithmic_axes_hold_their_range_with_few_round_ticks(first: float, second: float) -> None:
    low, high = sorted((first, second))
    axis = axes.log_axis(low, high)
    assert axis.low <= low <= high <= axis.high
    assert 1 <= len(axis.ticks) <= 6
    assert (axis.at(axis.low), axis.at(axis.high)) == (0, 100)


def test_equal_ratios_are_equal_lengths() -> None:
    axis = axes.log_axis(1, 1000)
    assert [axis.at(value) for value in (1, 10, 100, 1000)] == pytest.approx([0, 100 / 3, 200 / 3, 100], abs=0.01)
    assert axis.at(0) == 0
    assert axis.at(5000) == 100
