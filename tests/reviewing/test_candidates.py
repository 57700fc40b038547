"""The pairs that are worth a look are the same as if each photo had been compared with each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.reviewing.candidates import LONG_FROM, pairs_by_hash

HASH = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("long_from", [0, LONG_FROM])
@settings(max_examples=20, deadline=None)
@given(st.lists(HASH, min_size=2, max_size=8, unique=True), st.data())
def test_every_pair_of_near_hashes_is_found(long_from: int, seeds: list[int], data: st.DataObject) -> None:
    # Fewer than ten near partners each, so that none is left out by the cap.
    near = [
        seed ^ data.draw(st.sampled_from([0, 1, 0b1011 << 20, (2**8 - 1) << 30, (2**9 - 1) << 7])) for seed in seeds
    ]
    hashes = np.array([*seeds, *near][:10], np.uint64)
    expected = {
        (i, j) for j in range(len(hashes)) for i in range(j) if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 8
    }
    assert {(int(i), int(j)) for i, j in pairs_by_hash(hashes, hashes, long_from=long_from)} == expected


def test_mirrored_hashes_pair_with_straight_ones() -> None:
    random = np.random.default_rng(3)
    straight, mirrored = random.integers(0, 2**63, (2, 20), dtype=np.uint64)
    mirrored[4] = straight[17] ^ np.uint64(0b1001)
    assert pairs_by_hash(straight, mirrored).tolist() == [[4, 17]]


def test_thousands_of_equal_hashes_stay_thousands_of_pairs() -> None:
    n = 4_000
    pairs = pairs_by_hash(np.zeros(n, np.uint64), np.zeros(n, np.uint64))
    assert n - 1 <= len(pairs) <= 10 * n
    assert set(pairs.ravel().tolist()) == set(range(n))  # and no photo is forgotten


def test_no_photos_have_no_pairs() -> None:
    assert pairs_by_hash(np.empty(0, np.uint64), np.empty(0, np.uint64)).shape == (0, 2)
    apart = np.array([0, 2**64 - 1], np.uint64)
    assert pairs_by_hash(apart, apart).shape == (0, 2)
