"""Photos that show the same picture: equal bytes, and the same picture re-encoded, resized, edited or mirrored."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from fledged import engine
from fledged.engine import LOCAL, Engine
from fledged.progress import Report
from fledged.reviewing.alignment import similarity
from fledged.reviewing.candidates import pairs_by_hash
from fledged.reviewing.looks import Looks
from fledged.reviewing.neighbours import killed, nearest
from fledged.spreading.jobs import Each

# Neighbours in features that are compared, and the cosine below which even those are not.
_NEIGHBOURS = 6
_MIN_COSINE = 0.35
_DIRECTIONS = 128
_PAIRS = 64  # that are aligned at once

Outlines = npt.NDArray[np.uint8]


def exact_duplicates(photos: pl.DataFrame) -> pl.DataFrame:
    """A row a superfluous photo: path, related_path (the one that stays: the first by path), same_label."""
    first = pl.col("path").sort().first().over("sha256")
    return (
        photos.filter(pl.len().over("sha256") > 1)
        .with_columns(related_path=first, same_label=pl.col("label").n_unique().over("sha256") == 1)
        .filter(pl.col("path") != pl.col("related_path"))
        .select("path", "related_path", "same_label")
        .sort("path")
    )


def near_duplicates(
    photos: pl.DataFrame, looks: Looks, threshold: float, report: Report, on: Engine = LOCAL
) -> pl.DataFrame:
    """A row a pair of different files with the same picture: path, related_path, score (0..1), same_label.

    `photos` (distinct by sha256, sorted by path) needs path, label, phash and phash_mirrored, and `looks` their looks.
    Two ways lead to them, since each misses what the other finds: hashes (re-encoded, resized, mirrored photos) and
    features (cropped, turned and overpainted ones). Memory grows by about a kilobyte a photo.
    """
    pairs = _candidates(photos, looks, report, on)
    scores = _similarities(_by_content(pairs, photos["phash"].to_numpy()), looks, threshold, report, on)
    same = scores >= threshold
    i, j = pairs[same, 0], pairs[same, 1]
    paths, labels = photos["path"], photos["label"]
    return pl.DataFrame(
        {
            "path": paths.gather(j),
            "related_path": paths.gather(i),
            "score": scores[same].astype(np.float64),
            "same_label": labels.gather(i) == labels.gather(j),
        },
        schema={"path": pl.String, "related_path": pl.String, "score": pl.Float64, "same_label": pl.Boolean},
    ).sort("path", "related_path")


def _by_content(pairs: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The pairs, each with the lower hash first: what a pair scores may not depend on what its files are called.

    One photo of a pair is laid over the other, which gives another score, by a hair, the other way round.
    """
    turned = hashes[pairs[:, 0]] > hashes[pairs[:, 1]]
    return np.where(turned[:, None], pairs[:, ::-1], pairs)


def _similarities(
    pairs: npt.NDArray[np.int64], looks: Looks, threshold: float, report: Report, on: Engine
) -> npt.NDArray[np.float32]:
    step, done = "Comparing photos", [np.empty(0, np.float32)]
    report(step, 0, len(pairs))
    parts = (pairs[start : start + _PAIRS] for start in range(0, len(pairs), _PAIRS))
    outlines = ([(looks.outlines_NHW[part[:, 0]], looks.outlines_NHW[part[:, 1]])] for part in parts)
    with threadpool_limits(1, "blas"):  # the cores are busy with other pairs
        for scores in engine.map_batches(Each(partial(_compared, enough=threshold)), outlines, killed, on):
            done += scores
            report(step, min((len(done) - 1) * _PAIRS, len(pairs)), len(pairs))
    return np.concatenate(done)


def _compared(outlines: tuple[Outlines, Outlines], enough: float) -> npt.NDArray[np.float32]:
    return similarity(*outlines, enough)


def duplicate_groups(photos: pl.DataFrame, near: pl.DataFrame) -> npt.NDArray[np.int64]:
    """The number of each photo's group of near duplicates (N,)."""
    row = {path: number for number, path in enumerate(photos["path"])}
    ties = np.array([(row[a], row[b]) for a, b in near.select("path", "related_path").iter_rows()], np.int64)
    ties = ties.reshape(-1, 2)
    adjacency = coo_array((np.ones(len(ties), np.int8), (ties[:, 0], ties[:, 1])), shape=(len(row), len(row)))
    numbers: npt.NDArray[np.int64] = connected_components(adjacency, directed=False)[1].astype(np.int64)
    return numbers


def unit(features_NF: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The first directions of the features, of length 1: their products are cosines."""
    first = features_NF[:, :_DIRECTIONS]
    result: npt.NDArray[np.float32] = first / np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-6)
    return result


def _candidates(photos: pl.DataFrame, looks: Looks, report: Report, on: Engine) -> npt.NDArray[np.int64]:
    """Pairs (i, j), i < j, worth a comparison (P, 2)."""
    hashes, mirrored = photos["phash"].to_numpy(), photos["phash_mirrored"].to_numpy()
    found = nearest(unit(looks.features_NF), _NEIGHBOURS, on, report)
    i, place = np.nonzero(found.cosine_NK >= _MIN_COSINE)
    near = np.sort(np.stack([i, found.index_NK[i, place]], 1), axis=1)
    return np.unique(np.concatenate([pairs_by_hash(hashes, hashes), pairs_by_hash(hashes, mirrored), near]), axis=0)
