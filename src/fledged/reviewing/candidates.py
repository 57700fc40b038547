"""Pairs of photos that may show the same picture, found without comparing each with each.

Two ways, since each misses what the other finds: perceptual hashes that differ in few bits (re-encoded, resized,
mirrored photos), and features that are nearest neighbours (cropped, turned and overpainted ones).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

MAX_BITS = 8
_BANDS = 4
_BAND_BITS = 16
_MOST_PARTNERS = 10
_MOST_IN_A_BUCKET = 64
# Up to this many photos, nearest neighbours are found exactly; above, by an index that may miss a few.
EXACT_BELOW = 50_000
_CELLS = 1 << 23  # of the table of similarities that are in memory at once


def pairs_by_hash(
    hashes: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64], max_bits: int = MAX_BITS
) -> Int64Array:
    """Pairs (i, j), i < j, where hash i differs in at most `max_bits` bits from other j (N, 2), sorted.

    A photo is paired with the nearest ten at most: thousands of blank pictures, whose hashes are all alike, must not
    become millions of pairs.

    `others` are the same hashes, or those of the mirrored photos. Multi-index hashing (M. Norouzi et al., Fast Search
    in Hamming Space with Multi-Index Hashing, CVPR 2012): hashes that differ in up to 11 bits differ in at most 2 in
    one of their four bands of 16 bits.
    """
    found = [np.empty((0, 3), np.int64)]
    found += [_near(i, j, hashes, others, max_bits) for i, j in _sharing_a_band(hashes, others)]
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
    hashes: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]
) -> Iterator[tuple[Int64Array, Int64Array]]:
    flips = [0, *(1 << bit for bit in range(_BAND_BITS))]
    flips += [1 << a | 1 << b for a, b in combinations(range(_BAND_BITS), 2)]
    for band in range(_BANDS):
        shift = np.uint64(band * _BAND_BITS)
        mine = ((hashes >> shift) & np.uint64(0xFFFF)).astype(np.int64)
        theirs = ((others >> shift) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(theirs, kind="stable")
        starts = np.searchsorted(theirs[order], np.arange((1 << _BAND_BITS) + 1))
        crowd = np.minimum(np.diff(starts), _MOST_IN_A_BUCKET)
        for flip in flips:
            bucket = mine ^ flip
            sizes = crowd[bucket]
            for rows in _bounded(sizes):
                i = np.repeat(rows, sizes[rows])
                within = np.arange(len(i)) - np.repeat(np.cumsum(sizes[rows]) - sizes[rows], sizes[rows])
                yield i, order[np.repeat(starts[bucket[rows]], sizes[rows]) + within]


def _bounded(sizes: Int64Array, most: int = 4_000_000) -> Iterator[Int64Array]:
    """Rows with a size above 0, in runs whose sizes add up to about `most`: memory does not grow with the lake."""
    rows = np.flatnonzero(sizes)
    if not len(rows):
        return
    runs = np.cumsum(sizes[rows]) // most
    yield from np.split(rows, np.flatnonzero(np.diff(runs)) + 1)


def neighbours(
    features_NF: npt.NDArray[np.float32], k: int, exact_below: int = EXACT_BELOW
) -> tuple[Int64Array, npt.NDArray[np.float32]]:
    """The `k` nearest others of each photo, nearest first, and their cosine similarity; both (N, k).

    `features_NF` are of length 1. Where there are fewer than k others, the rest is -1 with similarity -1.
    """
    n = len(features_NF)
    index, cosine = np.full((n, k), -1, np.int64), np.full((n, k), -1, np.float32)
    wanted = min(k, n - 1)
    if wanted < 1:
        return index, cosine
    if n > exact_below:
        return _approximate(features_NF, k)
    n_rows = max(1, _CELLS // n)
    for start in range(0, n, n_rows):
        block = features_NF[start : start + n_rows] @ features_NF.T
        rows = np.arange(len(block))
        block[rows, rows + start] = -2  # not its own neighbour
        nearest = np.argpartition(block, n - wanted, axis=1)[:, n - wanted :]
        similarity = np.take_along_axis(block, nearest, 1)
        order = np.argsort(-similarity, axis=1, kind="stable")
        index[start : start + len(block), :wanted] = np.take_along_axis(nearest, order, 1)
        cosine[start : start + len(block), :wanted] = np.take_along_axis(similarity, order, 1)
    return index, cosine


def _approximate(features_NF: npt.NDArray[np.float32], k: int) -> tuple[Int64Array, npt.NDArray[np.float32]]:
    """By a hierarchical navigable small world graph (usearch), in half precision."""
    from usearch.index import Index

    n = len(features_NF)
    graph = Index(ndim=features_NF.shape[1], metric="cos", dtype="f16", expansion_search=64)
    keys = np.arange(n, dtype=np.uint64)
    for start in range(0, n, 50_000):
        graph.add(keys[start : start + 50_000], features_NF[start : start + 50_000])
    index, cosine = np.full((n, k), -1, np.int64), np.full((n, k), -1, np.float32)
    for start in range(0, n, 50_000):
        block = slice(start, min(start + 50_000, n))
        found = graph.search(features_NF[block], k + 1)
        found_keys = np.asarray(found.keys).astype(np.int64).reshape(block.stop - start, -1)
        distance = np.asarray(found.distances, np.float32).reshape(found_keys.shape)
        # Itself is among the found, nearly always first: it goes last, and then away.
        own = found_keys == np.arange(start, block.stop)[:, None]
        order = np.argsort(np.where(own, np.inf, distance), axis=1, kind="stable")[:, :k]
        index[block, : order.shape[1]] = np.take_along_axis(found_keys, order, 1)
        cosine[block, : order.shape[1]] = 1 - np.take_along_axis(distance, order, 1)
    return index, cosine
