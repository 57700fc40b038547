"""The pairs that are worth a look are the same as if each photo had been compared with each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.reviewing.candidates import neighbours, pairs_by_hash

Array = npt.NDArray[np.float32] | npt.NDArray[np.float64]
HASH = st.integers(0, 2**64 - 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(HASH, min_size=2, max_size=8, unique=True), st.data())
def test_every_pair_of_near_hashes_is_found(seeds: list[int], data: st.DataObject) -> None:
    # Fewer than ten near partners each, so that none is left out by the cap.
    near = [
        seed ^ data.draw(st.sampled_from([0, 1, 0b1011 << 20, (2**8 - 1) << 30, (2**9 - 1) << 7])) for seed in seeds
    ]
    hashes = np.array([*seeds, *near][:10], np.uint64)
    expected = {
        (i, j) for j in range(len(hashes)) for i in range(j) if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 8
    }
    assert {(int(i), int(j)) for i, j in pairs_by_hash(hashes, hashes)} == expected


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


def unit(rows: Array) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_neighbours_are_the_nearest_and_never_oneself() -> None:
    features = unit(np.random.default_rng(0).normal(size=(300, 16)))
    index, cosine = neighbours(features, 5)
    every = features @ features.T
    np.fill_diagonal(every, -2)
    np.testing.assert_allclose(cosine, -np.sort(-every, axis=1)[:, :5], atol=1e-6)
    assert not (index == np.arange(300)[:, None]).any()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_photos_have_few_neighbours(n: int) -> None:
    index, cosine = neighbours(unit(np.eye(4, dtype=np.float32)[:n] + 0.1), 5)
    assert index.shape == cosine.shape == (n, 5)
    assert ((index >= 0).sum(1) == max(0, n - 1)).all()


def test_the_index_for_large_lakes_finds_nearly_the_same() -> None:
    features = unit(np.random.default_rng(1).normal(size=(3000, 16)))
    exact, _ = neighbours(features, 5)
    approximate, cosine = neighbours(features, 5, exact_below=100)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), approximate.tolist(), strict=True)]
    assert np.mean(shared) > 4.5
    assert not (approximate == np.arange(3000)[:, None]).any()
    assert (cosine <= 1.01).all()
