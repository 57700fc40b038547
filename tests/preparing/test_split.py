"""Groups are never divided, shares are kept, order does not matter and nobody moves: for any groups."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.preparing.split import TOLERANCE, Group, assign, place
from fledged.products import SPLITS

SHARES = {"test": 0.15, "val": 0.15, "train": 0.7}
FOLDS = {f"{number}": 0.2 for number in range(1, 6)}

some_groups = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40)), min_size=1, max_size=120).map(
    lambda rows: [Group(f"{i:04d}", label, n) for i, (label, n) in enumerate(rows)]
)
some_shares = st.sampled_from([SHARES, FOLDS, {"test": 0.1, "val": 0.1, "train": 0.8}, {"val": 0.3, "train": 0.7}])


def singles(n: int, label: str = "owl") -> list[Group]:
    return [Group(f"{label}{i:05d}", label, 1) for i in range(n)]


@settings(max_examples=200, deadline=None)
@given(groups=some_groups, shares=some_shares, seed=st.integers(0, 5))
def test_every_group_has_one_part_and_order_does_not_matter(
    groups: list[Group], shares: dict[str, float], seed: int
) -> None:
    parts = assign(groups, shares, seed)
    assert parts.keys() == {group.key for group in groups}
    assert assign(groups[::-1], shares, seed) == parts


@settings(max_examples=200, deadline=None)
@given(groups=some_groups, seed=st.integers(0, 5))
def test_rare_labels_follow_the_rule(groups: list[Group], seed: int) -> None:
    parts = assign(groups, SHARES, seed)
    for label, n in Counter(group.label for group in groups).items():
        needed = {1: {"train"}, 2: {"train", "test"}}.get(n, set(SPLITS))
        assert {parts[group.key] for group in groups if group.label == label} == needed


@settings(max_examples=200, deadline=None)
@given(groups=some_groups, shares=some_shares, seed=st.integers(0, 5))
def test_no_part_is_further_from_its_share_than_stated(
    groups: list[Group], shares: dict[str, float], seed: int
) -> None:
    parts = assign(groups, shares, seed)
    *filled, _ = shares
    for label in {group.label for group in groups}:
        of_label = [group for group in groups if group.label == label]
        total, largest = sum(group.n_photos for group in of_label), max(group.n_photos for group in of_label)
        left, share_left = total, 1.0
        for part in filled:
            have = sum(group.n_photos for group in of_label if parts[group.key] == part)
            wanted = left * shares[part] / share_left
            assert abs(have - wanted) <= max(TOLERANCE * wanted, largest) + 1e-9
            left, share_left = left - have, share_left - shares[part]


@settings(max_examples=200, deadline=None)
@given(groups=some_groups, shares=some_shares, seed=st.integers(0, 5), data=st.data())
def test_who_is_settled_never_moves_when_others_come_and_go(
    groups: list[Group], shares: dict[str, float], seed: int, data: st.DataObject
) -> None:
    settled: dict[str, str] = {}
    for _ in range(4):
        there = [group for group in groups if data.draw(st.booleans())]
        parts = assign(there, shares, seed, settled)
        assert all(parts[key] == settled[key] for key in parts.keys() & settled.keys())
        settled |= parts


def test_small_classes_get_their_share_where_chance_alone_would_miss_it() -> None:
    chance, ours = [], []
    for seed in range(200):
        groups = singles(40)
        chance.append(sum(place(seed, group.key) < SHARES["test"] for group in groups))
        ours.append(Counter(assign(groups, SHARES, seed).values())["test"])
    assert set(ours) == {6}
    assert max(chance) >= 11
    assert min(chance) <= 1


def test_single_photos_split_as_asked_and_the_seed_decides_which() -> None:
    one, other = assign(singles(1000), SHARES, 1), assign(singles(1000), SHARES, 2)
    counts = Counter(one.values())
    assert all(abs(counts[split] - 1000 * share) <= 1000 * share * 0.12 for split, share in SHARES.items())
    assert one != other


def test_a_lake_that_has_grown_is_split_nearly_alike_without_any_memory() -> None:
    moved = 0
    for seed in range(20):
        before, after = assign(singles(1000), SHARES, seed), assign(singles(1100), SHARES, seed)
        moved += sum(after[key] != part for key, part in before.items())
    assert moved / 20_000 < 0.005


def test_a_lake_that_grows_with_its_memory_keeps_its_shares() -> None:
    settled: dict[str, str] = {}
    for n in (10, 37, 80, 400, 1500):
        settled = assign(singles(n), SHARES, 3, settled)
    counts = Counter(settled.values())
    assert all(abs(counts[split] - 1500 * share) <= 1500 * share * 0.12 for split, share in SHARES.items())


def test_a_group_too_large_for_test_and_val_is_for_training() -> None:
    for seed in range(50):
        assert assign([Group("video", "owl", 500), *singles(500)], SHARES, seed)["video"] == "train"
