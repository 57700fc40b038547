"""Pairs of photos whose perceptual hashes differ in few bits, found without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

MAX_BITS = 8
# How a hash is cut into bands of bits: the more hashes there are, the longer the bands, so that few have one in common.
_SHORT_BANDS, _LONG_BANDS = (16, 16, 16, 16), (22, 21, 21)
LONG_FROM = 1 << 17
_MOST_FLIPS = 2  # in one of the bands, where a hash differs in no more than MAX_BITS
_MOST_PARTNERS = 10
_MOST_IN_A_BUCKET = 64


def pairs_by_hash(
    hashes: npt.NDArray[np.uint64],
    others: npt.NDArray[np.uint64],
    max_bits: int = MAX_BITS,
    long_from: int = LONG_FROM,
) -> Int64Array:
    """Pairs (i, j), i < j, where hash i differs in at most `max_bits` bits from other j (N, 2), sorted.

    A photo is paired with the nearest ten at most: thousands of blank pictures, whose hashes are all alike, must not
    become millions of pairs.

    `others` are the same hashes, or those of the mirrored photos. Multi-index hashing (M. Norouzi et al., Fast Search
    in Hamming Space with Multi-Index Hashing, CVPR 2012): hashes that differ in up to 8 bits differ in at most 2 in
    one of their four bands, or of three, which are taken from `long_from` hashes on.
    """
    found = [np.empty((0, 3), np.int64)]
    bands = _SHORT_BANDS if len(hashes) < long_from else _LONG_BANDS
    found += [_near(i, j, hashes, others, max_bits) for i, j in _sharing_a_band(hashes, others, bands)]
    nearest = np.unique(np.concatenate(found), axis=0)  # by photo, and for each the nearest first
    place = np.arange(len(nearest)) - np.searchsorted(nearest[:, 0], nearest[:, 0])
    kept = nearest[place < _MOST_PARTNERS]
    return np.unique(np.sort(kept[:, [0, 2]], axis=1), axis=0)


def _near(
    i: Int64Array, j: Int64Array, hashes: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64], max_bits: int
) -> Int64Array:
    """Rows of i, differing bits and j."""
    n_bits = np.bitwise_count(hashes[i] ^ others[j]).astype(np.int64)
    near = (n_bits <= max_bits) & (i != j)
    return np.stack([i[near], n_bits[near], j[near]], 1)


def _sharing_a_band(
    hashes: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64], bands: tuple[int, ...]
) -> Iterator[tuple[Int64Array, Int64Array]]:
    shift = 0
    for n_bits in bands:
        mine, theirs = _band(hashes, shift, n_bits), _band(others, shift, n_bits)
        shift += n_bits
        order = np.argsort(theirs, kind="stable").astype(np.int32)
        n_in = np.bincount(theirs, minlength=1 << n_bits)
        starts = (np.cumsum(n_in) - n_in).astype(np.int32)
        crowd = np.minimum(n_in, _MOST_IN_A_BUCKET).astype(np.uint8)  # small: it is asked in no order, all the time
        for flip in _flips(n_bits):
            bucket = mine ^ flip
            sizes = crowd[bucket]
            for rows in _bounded(sizes):
                n_each = sizes[rows].astype(np.int64)
                i = np.repeat(rows, n_each)
                within = np.arange(len(i)) - np.repeat(np.cumsum(n_each) - n_each, n_each)
                yield i, order[np.repeat(starts[bucket[rows]], n_each) + within].astype(np.int64)


def _band(hashes: npt.NDArray[np.uint64], shift: int, n_bits: int) -> npt.NDArray[np.int32]:
    return ((hashes >> np.uint64(shift)) & np.uint64((1 << n_bits) - 1)).astype(np.int32)


def _flips(n_bits: int) -> Iterator[np.int32]:
    for n_flipped in range(_MOST_FLIPS + 1):
        for bits in combinations(range(n_bits), n_flipped):
            yield np.int32(sum(1 << bit for bit in bits))


def _bounded(sizes: npt.NDArray[np.uint8], most: int = 4_000_000) -> Iterator[Int64Array]:
    """Rows with a size above 0, in runs whose sizes add up to about `most`: memory does not grow with the lake."""
    rows = np.flatnonzero(sizes)
    if not len(rows):
        return
    runs = np.cumsum(sizes[rows], dtype=np.int64) // most
    yield from np.split(rows, np.flatnonzero(np.diff(runs)) + 1)
