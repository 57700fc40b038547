"""Groups are never divided, shares are kept, and neither order nor names matter: for any groups."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.preparing.split import Group, assign, groups_of, ties_by_key
from fledged.products import SPLITS, Split

SHARES: dict[Split, float] = {"train": 0.7, "val": 0.15, "test": 0.15}

some_groups = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40)), min_size=1, max_size=120).map(
    lambda rows: [Group(f"{i:04d}", label, n) for i, (label, n) in enumerate(rows)]
)


@settings(max_examples=200, deadline=None)
@given(groups=some_groups, seed=st.integers(0, 5))
def test_every_group_has_one_split_and_order_does_not_matter(groups: list[Group], seed: int) -> None:
    splits = assign(groups, SHARES, seed)
    assert set(splits) == {group.key for group in groups}
    assert assign(groups[::-1], SHARES, seed) == splits


@settings(max_examples=200, deadline=None)
@given(groups=some_groups, seed=st.integers(0, 5))
def test_a_label_with_three_groups_is_in_every_split(groups: list[Group], seed: int) -> None:
    splits = assign(groups, SHARES, seed)
    for label, n in Counter(group.label for group in groups).items():
        if n >= len(SPLITS):
            assert {splits[group.key] for group in groups if group.label == label} == set(SPLITS)


@settings(max_examples=100, deadline=None)
@given(groups=some_groups, seed=st.integers(0, 5))
def test_no_split_is_further_from_its_share_than_the_largest_group(groups: list[Group], seed: int) -> None:
    splits = assign(groups, SHARES, seed)
    for label in {group.label for group in groups}:
        of_label = [group for group in groups if group.label == label]
        total = sum(group.n_photos for group in of_label)
        for split, share in SHARES.items():
            have = sum(group.n_photos for group in of_label if splits[group.key] == split)
            assert abs(have - share * total) <= 2 * max(group.n_photos for group in of_label)


def test_single_photos_split_as_asked_and_the_seed_decides_which() -> None:
    groups = [Group(f"{i:04d}", "owl", 1) for i in range(1000)]
    one, other = assign(groups, SHARES, 1), assign(groups, SHARES, 2)
    assert Counter(one.values()) == {"train": 700, "val": 150, "test": 150}
    assert one != other


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 60), data=st.data())
def test_ties_are_transitive_and_join_nothing_else(n: int, data: st.DataObject) -> None:
    ties = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=80))
    numbers = groups_of(n, ties)
    # The slow and obvious way: spread the smallest number until nothing changes.
    slow = list(range(n))
    changed = True
    while changed:
        changed = False
        for a, b in ties:
            low = min(slow[a], slow[b])
            changed |= slow[a] != low or slow[b] != low
            slow[a] = slow[b] = low
    assert [[numbers[i] == numbers[j] for j in range(n)] for i in range(n)] == [
        [slow[i] == slow[j] for j in range(n)] for i in range(n)
    ]


def test_equal_keys_are_tied_and_none_ties_nothing() -> None:
    numbers = groups_of(5, ties_by_key(["a", None, "a", None, "b"]))
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == 4
