"""Photos that show the same picture: equal bytes, and the same picture re-encoded, resized, edited or mirrored.

Near duplicates are found in two steps. Perceptual hashes that differ in few bits (of the photo or of its mirror image)
give candidates; they hold too many false ones, since two clear skies hash alike. Each candidate pair is then judged by
the correlation of its 32x32 thumbnails.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged.progress import Report

# Hash comparisons at once: bounds memory at about 100 MB, however many photos there are.
_COMPARISONS = 4_000_000
# Thumbnails flatter than this (of 255) correlate with anything.
_FLAT = 1.0


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


def near_duplicates(photos: pl.DataFrame, max_bits: int, min_correlation: float, report: Report) -> pl.DataFrame:
    """A row a pair of different files with the same picture: path, related_path, score (correlation), same_label.

    `photos` needs path, label, sha256, phash, phash_mirrored and thumbnail; files with equal bytes are compared once.
    Time grows with the square of the number of photos (0.5 s for 3,000 on one core), memory does not.
    """
    distinct = photos.unique("sha256", keep="first", maintain_order=True).sort("path")
    if distinct.is_empty():
        return pl.DataFrame(
            schema={"path": pl.String, "related_path": pl.String, "score": pl.Float64, "same_label": pl.Boolean}
        )
    hashes, mirrored = distinct["phash"].to_numpy(), distinct["phash_mirrored"].to_numpy()
    thumbnails_NHW = np.stack([np.frombuffer(data, np.uint8) for data in distinct["thumbnail"]]).reshape(-1, 32, 32)
    n = len(hashes)
    rows = max(1, _COMPARISONS // n)
    firsts, seconds, scores = [], [], []
    report("Comparing photos", 0, n)
    for start in range(0, n, rows):
        block = slice(start, min(start + rows, n))
        for others, flip in ((hashes, False), (mirrored, True)):
            near = np.bitwise_count(hashes[block, None] ^ others[None, start:]) <= max_bits
            i, j = (found + start for found in np.nonzero(near))
            i, j = i[i < j], j[i < j]
            correlation = _correlation(thumbnails_NHW[i], thumbnails_NHW[j, :, ::-1] if flip else thumbnails_NHW[j])
            same = correlation >= min_correlation
            firsts.append(i[same])
            seconds.append(j[same])
            scores.append(correlation[same])
        report("Comparing photos", block.stop, n)
    paths, labels = distinct["path"], distinct["label"]
    i, j = np.concatenate(firsts), np.concatenate(seconds)
    return (
        pl.DataFrame(
            {
                "path": paths.gather(j),
                "related_path": paths.gather(i),
                "score": np.concatenate(scores),
                "same_label": labels.gather(i) == labels.gather(j),
            }
        )
        .sort("score", descending=True)
        .unique(["path", "related_path"], keep="first")  # a symmetric picture is like itself and like its mirror image
        .sort("path", "related_path")
    )


def _correlation(first_NHW: npt.NDArray[np.uint8], second_NHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Pearson's correlation of each pair of thumbnails; 0 where one is flat."""
    result = np.zeros(len(first_NHW))
    for start in range(0, len(first_NHW), 4096):
        part = slice(start, start + 4096)
        a = first_NHW[part].reshape(-1, 1024).astype(np.float64)
        b = second_NHW[part].reshape(-1, 1024).astype(np.float64)
        a -= a.mean(1, keepdims=True)
        b -= b.mean(1, keepdims=True)
        spread = a.std(1) * b.std(1)
        result[part] = np.where(
            np.minimum(a.std(1), b.std(1)) > _FLAT, (a * b).mean(1) / np.maximum(spread, 1e-12), 0.0
        )
    return result
