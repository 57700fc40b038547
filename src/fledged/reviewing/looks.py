"""What the review sees of each photo: features of the backbone that training will use, and a small grey outline.

Both are computed once for each content and kept; training finds the same features in the same cache.
"""

from __future__ import annotations

import functools
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged import engine
from fledged.copies import files_of, kept_copies
from fledged.embedding.agreement import N_PHOTOS, Inputs, as_inputs, settled
from fledged.embedding.features import Embedding, add_features, feature_parts, known_features
from fledged.embedding.graphs import embedding_of
from fledged.engine import Engine
from fledged.errors import WorkspaceError
from fledged.networks import backbones
from fledged.networks.weights import Source
from fledged.parts import Parts
from fledged.products import Preprocess
from fledged.progress import Report, silent
from fledged.reviewing.outlines import OUTLINE_PX, Look, look
from fledged.settings.lake import PrepareConfig
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace

Float32Array = npt.NDArray[np.float32]
Number = TypeVar("Number", np.uint8, np.float32)

# Directions of greatest spread that are kept of the features: what LogisticRegression and neighbours work on.
N_DIRECTIONS = 256

_CHUNK = 1024  # photos between two writes: what a crash can cost
_BLOCK = 4096  # photos whose features are in memory at once


@dataclass(frozen=True, slots=True)
class Eyes:
    """How photos are looked at: as the training to come will, so that each is looked at once."""

    train: TrainConfig
    copies: PrepareConfig
    source: Source
    on: Engine = engine.LOCAL  # who looks


@dataclass(frozen=True, slots=True)
class Looks:
    """Rows as in the table that was looked at."""

    features_NF: Float32Array  # standardised and turned to their directions of greatest spread
    outlines_NHW: npt.NDArray[np.uint8]  # on disk, so memory does not grow with the lake


def seeing(eyes: Eyes, photos: pl.DataFrame, lake: str, workspace: Workspace) -> Embedding:
    """The backbone that the training would use, as it would use it; an engine is tried on the first of the photos."""
    backbone = backbones.build(eyes.source)
    seen = eyes.train.input
    how = Preprocess(size_px=seen.size_px, resize=seen.resize, mean=backbone.mean, std=backbone.std)

    def inputs() -> Inputs:
        looks = _looks(photos.head(N_PHOTOS), lake, eyes.copies, eyes.on)
        return as_inputs([(found.jpeg, "") for found in looks if found.jpeg is not None], how)

    embedding = embedding_of(backbone.name, backbone.module, how, workspace, eyes.on)
    return settled(embedding, eyes.train.cache.engine, inputs, workspace)


def look_at(
    photos: pl.DataFrame, lake: str, eyes: Embedding, copies: PrepareConfig, workspace: Workspace, report: Report
) -> tuple[pl.DataFrame, Looks]:
    """Those of the photos (distinct by sha256) that can be seen, and their looks. `copies` says how they are shrunk."""
    size = (copies.shorter_side_px, copies.jpeg_quality)
    kept = kept_copies(size, workspace)
    known = kept.known({"sha256": pl.String, "copy": pl.String})
    copies_known = known_features(eyes, 0, workspace).select("copy")
    missing = photos.join(
        known.join(copies_known, on="copy", how="semi"), on="sha256", how="anti", maintain_order="left"
    )
    done = photos.height - missing.height
    step = "Looking at photos"
    looks = _looks(missing, lake, copies, eyes.on)
    made = []
    for start in range(0, missing.height, _CHUNK):
        report(step, done + start, photos.height)
        sha256s = missing["sha256"][start : start + _CHUNK].to_list()
        chunk = _jpegs(sha256s, [found for _, found in zip(sha256s, looks, strict=False)])
        chunk = chunk.with_columns(copy=add_features(chunk, eyes, 0, workspace, silent, known=copies_known))
        if not chunk.is_empty():
            kept.add(chunk)
            made.append(chunk.select("sha256", "copy"))
        copies_known = pl.concat([copies_known, chunk.select("copy")])
    report(step, photos.height, photos.height)
    # What was made just now has its features; what was known of the same photo may have none.
    known = pl.concat([*made, known.select("sha256", "copy")]).unique("sha256", keep="first", maintain_order=True)
    seen = photos.join(known, on="sha256", how="inner", maintain_order="left")
    return seen, Looks(_compact(seen["copy"], eyes, workspace), _outlines(seen["sha256"], kept))


def _looks(photos: pl.DataFrame, lake: str, copies: PrepareConfig, on: Engine) -> Iterator[Look]:
    """Of each photo, in order."""
    return engine.map_photos(
        functools.partial(look, shorter_side_px=copies.shorter_side_px, jpeg_quality=copies.jpeg_quality),
        files_of(photos, lake),
        on_crash=lambda _: Look(),
        on=on.at(lake, copies.workers),
        step="Looking at photos",
        report=silent,
    )


def _jpegs(sha256s: list[str], looks: list[Look]) -> pl.DataFrame:
    rows = [
        (sha256, found.jpeg, found.outline)
        for sha256, found in zip(sha256s, looks, strict=True)
        if found.jpeg is not None
    ]
    return pl.DataFrame(rows, {"sha256": pl.String, "jpeg": pl.Binary, "outline": pl.Binary}, orient="row")


def _outlines(sha256s: pl.Series, kept: Parts) -> npt.NDArray[np.uint8]:
    """The outlines (N, 64, 64)."""
    shape = (len(sha256s), OUTLINE_PX, OUTLINE_PX)
    if not len(sha256s):
        return np.empty(shape, np.uint8)
    outlines = _aside(shape, np.uint8)
    for found in kept.all_of(sha256s, "outline"):
        for row, outline in found.select("row", "outline").iter_rows():
            outlines[row] = np.frombuffer(outline, np.uint8).reshape(OUTLINE_PX, OUTLINE_PX)
    return outlines


def _compact(keys: pl.Series, eyes: Embedding, workspace: Workspace) -> Float32Array:
    """Features, standardised and turned to their directions of greatest spread (N, F)."""
    features = _features(keys, feature_parts(eyes, 0, workspace))
    n, width = features.shape
    if not n:
        return np.empty((0, 0), np.float32)
    # In the order of the photos: what sums end in, to the last bit, is not for the parts of a cache to say.
    total, products = np.zeros(width), np.zeros((width, width))
    for start in range(0, n, _BLOCK):
        values = features[start : start + _BLOCK].astype(np.float64)
        total, products = total + values.sum(0), products + values.T @ values
    mean = total / n
    covariance = products / n - np.outer(mean, mean)
    scale = 1 / np.sqrt(np.maximum(np.diag(covariance), 1e-8))
    directions = _directions(covariance * np.outer(scale, scale), min(N_DIRECTIONS, n))
    turn = (scale[:, None] * directions).astype(np.float32)
    compact = np.empty((n, turn.shape[1]), np.float32)
    for start in range(0, n, _BLOCK):
        compact[start : start + _BLOCK] = (features[start : start + _BLOCK] - mean.astype(np.float32)) @ turn
    return compact


def _features(keys: pl.Series, parts: Parts) -> Float32Array:
    """The features (N, F) in the order of the keys, each once, though it may be in several parts."""
    features: Float32Array = np.empty((0, 0), np.float32)
    for found in parts.all_of(keys, "features"):
        values = found["features"].to_numpy()
        if not len(features):
            features = _aside((len(keys), values.shape[1]), np.float32)
        features[found["row"].to_numpy()] = values
    return features


def _aside(shape: tuple[int, ...], of: type[Number]) -> npt.NDArray[Number]:
    """Room in a file without a name, which is gone with its last reader: memory does not grow with the lake."""
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # a map into a full disk would end the process
                os.posix_fallocate(file.fileno(), 0, math.prod(shape) * np.dtype(of).itemsize)
            return np.memmap(file, of, "w+", shape=shape)
    except OSError as error:
        raise WorkspaceError(
            f"There is no room for what is seen of the photos: {error.strerror or error}",
            where=Path(tempfile.gettempdir()),
            remedy="Free some space, or set TMPDIR to a folder of another disk, and run the same command again.",
        ) from error


def _directions(correlation: npt.NDArray[np.float64], wanted: int) -> npt.NDArray[np.float64]:
    from scipy.linalg import eigh

    n = len(correlation)
    _, vectors = eigh(correlation, subset_by_index=(max(0, n - wanted), n - 1))
    result: npt.NDArray[np.float64] = vectors[:, ::-1]
    return result
