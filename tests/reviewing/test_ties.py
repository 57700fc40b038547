from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fledged.reviewing.ties import tied_together

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30)


@given(PAIRS)
def test_groups_are_the_connected_parts(pairs: list[tuple[int, int]]) -> None:
    groups = tied_together(pairs)
    of = {name: i for i, group in enumerate(groups) for name in group}
    assert sum(map(len, groups)) == len(of)
    assert set(of) == {name for pair in pairs for name in pair}
    assert all(of[first] == of[second] for first, second in pairs)
    # No group can be divided without cutting a pair.
    for group in groups:
        reached = {min(group)}
        while more := {n for pair in pairs for n in pair if set(pair) & reached} - reached:
            reached |= more
        assert reached == group
