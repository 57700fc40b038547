"""Which split each group goes to: by a hash, so that adding photos moves none. Pure functions; no files.

Whatever never moves anybody without remembering anything must decide on each group alone, by a hash against fixed
cuts: any rule that looks at the others can be upset by one more. But then shares are left to chance. Of 40 groups a
share of 0.15 gets 6 ± 2.3, and in one class of 700 none at all.

So there are both. The hash says where a group belongs. Where a label's share misses what was asked by more than a
tenth, the groups nearest to the cut (and no others) go to the other side of it. And what was decided once is
remembered (see `memory`): a remembered group is not asked again, only new ones are placed, where shares are missing.
Without the memory, on another machine say, a lake that has grown is split alike but for those few near the cuts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# How far a label's share may be off, as a part of that share, before groups near the cut are moved over.
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Group:
    """Photos that must not be separated."""

    key: str  # made of the photos' content, so it does not depend on names or order
    label: str  # under which it is counted
    n_photos: int


def assign(
    groups: Sequence[Group], shares: Mapping[str, float], seed: int, settled: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The part (a key of `shares`) of each group, by its key. `settled` groups have theirs already.

    Within each label the parts are filled in the order of `shares`, and the last takes the rest. It gets a group before
    all others, then they do in their order: so two groups of a label go to the first part and the last. A part is
    within TOLERANCE of its share if the groups' sizes allow it, else off by less than the largest group of the label.
    The order of `groups` does not matter.
    """
    settled = settled or {}
    parts = {group.key: settled[group.key] for group in groups if group.key in settled}
    by_label: dict[str, list[Group]] = {}
    for group in groups:
        by_label.setdefault(group.label, []).append(group)
    for _, of_label in sorted(by_label.items()):
        photos = Counter(dict.fromkeys(shares, 0))
        for group in of_label:
            if group.key in settled:
                photos[settled[group.key]] += group.n_photos
        free = sorted(
            (
                _Placed(place(seed, group.key), group.key, group.n_photos)
                for group in of_label
                if group.key not in parts
            ),
            key=lambda placed: (placed.place, placed.key),
        )
        parts |= _fill(free, photos, shares)
    return parts


def place(seed: int, key: str) -> float:
    """Where a key lies between 0 and 1: even over keys, and another for another seed."""
    return int(hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()[:13], 16) / 16**13


@dataclass(frozen=True, slots=True)
class _Placed:
    place: float
    key: str
    n_photos: int


def _fill(free: list[_Placed], photos: Counter[str], shares: Mapping[str, float]) -> dict[str, str]:
    """The parts of the free groups of one label, in order of their place; `photos` are in the parts already."""
    names = list(shares)
    parts: dict[str, str] = {}
    missing = sum(photos.values()) + sum(group.n_photos for group in free)  # photos of this part and later ones
    share_left, cut = 1.0, 0.0
    for index, part in enumerate(names[:-1]):
        cut += shares[part]
        empty_later = sum(not photos[later] for later in names[index + 1 :])
        must_stay = max(int(not photos[names[-1]]), min(empty_later, len(free) - 1))
        chosen = _choose(free, len(free) - must_stay, missing * shares[part] / share_left, photos[part], cut)
        parts |= dict.fromkeys(chosen, part)
        photos[part] += sum(group.n_photos for group in free if group.key in chosen)
        free = [group for group in free if group.key not in chosen]
        missing -= photos[part]
        share_left -= shares[part]
    return parts | dict.fromkeys((group.key for group in free), names[-1])


def _choose(free: list[_Placed], at_most: int, wanted: float, have: int, cut: float) -> set[str]:
    """Those below the cut as long as there is room for them, those after it as long as photos are missing."""
    low, high = wanted * (1 - TOLERANCE), wanted * (1 + TOLERANCE)
    chosen: set[str] = set()
    for group in free:
        if group.place >= cut and have >= low:
            break
        if len(chosen) < at_most and have + group.n_photos <= high:
            chosen.add(group.key)
            have += group.n_photos
    rest = [group for group in free if group.key not in chosen]
    if rest and len(chosen) < at_most and have < low:
        smallest = min(rest, key=lambda group: (group.n_photos, group.place, group.key))
        # Too many by less than there are too few now; or any photos rather than none.
        if not have or smallest.n_photos < 2 * (wanted - have):
            chosen.add(smallest.key)
    return chosen
