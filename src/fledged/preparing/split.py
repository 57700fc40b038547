"""Which photos belong together, and which split each group goes to. Pure functions; no files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fledged.products import Split


@dataclass(frozen=True, slots=True)
class Group:
    """Photos that must not be separated."""

    key: str  # made of the photos' content, so it does not depend on names or order
    label: str  # of most of its photos
    n_photos: int


def groups_of(n_photos: int, ties: Iterable[tuple[int, int]]) -> list[int]:
    """The group number of each photo, where `ties` are pairs of photos (by position) that belong together."""
    pairs = np.array(list(ties), dtype=np.int64).reshape(-1, 2)
    adjacency = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n_photos, n_photos))
    numbers: list[int] = connected_components(adjacency, directed=False)[1].tolist()
    return numbers


def ties_by_key(keys: Sequence[str | None]) -> list[tuple[int, int]]:
    """Ties between all photos with the same key; None ties nothing."""
    first: dict[str, int] = {}
    return [(first.setdefault(key, index), index) for index, key in enumerate(keys) if key is not None]


def assign(groups: Sequence[Group], shares: Mapping[Split, float], seed: int) -> dict[str, Split]:
    """The split of each group, by its key.

    Within each label, every split gets a group (if there are as many groups as splits), large groups are placed before
    small ones, each where most photos are missing to its share, and the seed decides between groups of one size. The
    order of `groups` does not matter.
    """
    splits: dict[str, Split] = {}
    for label in sorted({group.label for group in groups}):
        of_label = sorted(
            (group for group in groups if group.label == label),
            key=lambda group: (-group.n_photos, _shuffled(seed, group.key)),
        )
        n_photos = sum(group.n_photos for group in of_label)
        missing = {split: share * n_photos for split, share in shares.items()}
        # The smallest groups open the smaller splits, so that no large one can use up all photos of a rare class.
        openers = sorted(shares, key=lambda split: shares[split])[:-1] if len(of_label) >= len(shares) else []
        for split in openers:
            group = of_label.pop()
            splits[group.key] = split
            missing[split] -= group.n_photos
        for group in of_label:
            split = max(missing, key=lambda name: missing[name])
            splits[group.key] = split
            missing[split] -= group.n_photos
    return splits


def _shuffled(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()
