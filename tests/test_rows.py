"""A sequence that makes its items when they are asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.rows import Rows


def doubled(n: int) -> Rows[int]:
    return Rows(n, lambda start, stop: [2 * i for i in range(start, stop)])


@given(n=st.integers(0, 40), start=st.integers(-50, 50), stop=st.integers(-50, 50), step=st.integers(1, 3))
def test_it_is_sliced_like_a_list(n: int, start: int, stop: int, step: int) -> None:
    whole = [2 * i for i in range(n)]
    assert list(doubled(n)[start:stop:step]) == whole[start:stop:step]
    assert (len(doubled(n)), list(doubled(n)), list(reversed(doubled(n)))) == (n, whole, whole[::-1])
    if -n <= start < n:
        assert doubled(n)[start] == whole[start]
    else:
        with pytest.raises(IndexError):
            doubled(n)[start]


def test_items_are_made_some_at_a_time_and_not_kept() -> None:
    made: list[int] = []

    def part(start: int, stop: int) -> list[int]:
        made.append(stop - start)
        return list(range(start, stop))

    rows = Rows(5_000, part)
    assert sum(1 for _ in rows) == 5_000
    assert max(made) < 2_000
    assert rows[:3] == [0, 1, 2]
    assert made[-1] == 3
