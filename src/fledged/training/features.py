"""The frozen part, computed once: pooled features of photos, cached by the shrunk copy's content.

The backbone runs as ONNX in onnxruntime, on as many threads as there are cores, each with photos of its own: the same
graph and engine that are served, so a head is trained on the very numbers that it will be given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime
import polars as pl

from fledged import engine
from fledged.augmenting import views
from fledged.networks.graph import INPUT
from fledged.parts import Parts
from fledged.products import Preprocess
from fledged.progress import Report
from fledged.recipes import Recipe
from fledged.workspace import Workspace

Float32Array = npt.NDArray[np.float32]

_CHUNK = 16  # photos that a thread takes at once


@dataclass(frozen=True, slots=True)
class Embedding:
    """The frozen backbone as an ONNX file; `key` tells one from another (weights and standardisation).

    With `base`, the file holds the later blocks alone: it goes on from what `base` makes of a photo, rounded to half
    precision, as it is kept.
    """

    onnx: bytes
    key: str
    how: Preprocess
    base: Embedding | None = None


def features_of(
    photos: pl.DataFrame,
    embedding: Embedding,
    number: int,
    workspace: Workspace,
    report: Report,
    recipe: Recipe = (),
) -> Float32Array:
    """Features (N, F) of view `number` of each photo (columns sha256 and jpeg), from the cache or computed now."""
    keys = add_features(photos, embedding, number, workspace, report, recipe)
    return read_features(keys, embedding, number, workspace, recipe)


def add_features(
    photos: pl.DataFrame,
    embedding: Embedding,
    number: int,
    workspace: Workspace,
    report: Report,
    recipe: Recipe = (),
) -> pl.Series:
    """The keys of the photos (columns sha256 and jpeg) in the cache; what it does not know yet is computed and kept."""
    keys = copy_keys(photos["jpeg"])
    missing = photos.with_columns(copy=keys).unique("copy", keep="first", maintain_order=True)
    missing = missing.join(
        known_features(embedding, number, workspace, recipe), on="copy", how="anti", maintain_order="left"
    )
    if not missing.is_empty():
        fresh = _compute(missing, embedding, number, recipe, report)
        feature_parts(embedding, number, workspace, recipe).add(
            pl.DataFrame({"copy": missing["copy"], "features": fresh})
        )
    return keys


def copy_keys(jpegs: pl.Series) -> pl.Series:
    """The sha256 of each shrunk copy: what its features depend on, however it was shrunk."""
    return pl.Series("copy", [hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs], pl.String)


def known_features(embedding: Embedding, number: int, workspace: Workspace, recipe: Recipe = ()) -> pl.DataFrame:
    """The keys (column copy) of all photos whose features are in the cache."""
    return feature_parts(embedding, number, workspace, recipe).known({"copy": pl.String})


def read_features(
    keys: pl.Series, embedding: Embedding, number: int, workspace: Workspace, recipe: Recipe = ()
) -> Float32Array:
    """Features (N, F) of photos that are in the cache, in the order of `keys`."""
    features: Float32Array | None = None
    for found in feature_parts(embedding, number, workspace, recipe).rows_of(keys, "features"):
        values = found["features"].to_numpy()
        if features is None:
            features = np.empty((len(keys), values.shape[1]), np.float32)
        features[found["row"].to_numpy()] = values
    return np.empty((0, 0), np.float32) if features is None else features


def feature_parts(embedding: Embedding, number: int, workspace: Workspace, recipe: Recipe = ()) -> Parts:
    """The cache, with the columns copy and features."""
    parts = [embedding.key, *views.key(number, recipe), embedding.how.model_dump_json()]
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return Parts(workspace.cache(f"features/{name}"), "copy")


def open_session(embedding: Embedding) -> onnxruntime.InferenceSession:
    """The graph, to be run by several threads at once, each run on one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(embedding.onnx, options, providers=["CPUExecutionProvider"])


def embed(
    session: onnxruntime.InferenceSession,
    photos: Sequence[tuple[bytes, str]],
    how: Preprocess,
    number: int,
    recipe: Recipe,
) -> Float32Array:
    """What the graph makes of view `number` of each photo (jpeg and sha256)."""
    # One photo at a time: its activations stay in the core's cache, and its features depend on nothing else.
    inputs = (views.view(jpeg, sha256, how, number, recipe)[None] for jpeg, sha256 in photos)
    return np.concatenate([session.run(None, {INPUT: photo})[0] for photo in inputs])


def _compute(photos: pl.DataFrame, embedding: Embedding, number: int, recipe: Recipe, report: Report) -> Float32Array:
    session = open_session(embedding)
    rows = photos.select("jpeg", "sha256").rows()
    batches = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    step = "Computing features" if number == 0 else f"Computing features, view {number + 1}"
    report(step, 0, len(rows))
    done: list[Float32Array] = []
    with ThreadPoolExecutor(engine.n_workers(0), initializer=views.alone) as pool:
        for features in pool.map(lambda some: embed(session, some, embedding.how, number, recipe), batches):
            done.append(features)
            report(step, min(len(done) * _CHUNK, len(rows)), len(rows))
    return np.concatenate(done)
