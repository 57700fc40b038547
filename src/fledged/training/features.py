"""The frozen part, computed once: pooled features of photos, cached by the photo's content.

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
from fledged.products import Preprocess
from fledged.progress import Report
from fledged.training import views
from fledged.training.graph import INPUT
from fledged.workspace import Workspace, write_table

Float32Array = npt.NDArray[np.float32]

_CHUNK = 16  # photos that a thread takes at once


@dataclass(frozen=True, slots=True)
class Embedding:
    """The frozen backbone as an ONNX file; `key` tells one from another (weights and standardisation)."""

    onnx: bytes
    key: str
    how: Preprocess


def features_of(
    photos: pl.DataFrame, embedding: Embedding, number: int, workspace: Workspace, report: Report
) -> Float32Array:
    """Features (N, F) of view `number` of each photo (columns sha256 and jpeg), from the cache or computed now."""
    how = embedding.how
    parts = [embedding.key, number, views.VERSION if number else 0, how.model_dump_json()]
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    path = workspace.cache(f"features/{name}.parquet")
    try:
        known = pl.read_parquet(path)
    except (FileNotFoundError, pl.exceptions.PolarsError):
        known = None  # a cache that cannot be read costs time, not correctness
    distinct = photos.unique("sha256", keep="first", maintain_order=True)
    missing = distinct if known is None else distinct.join(known, on="sha256", how="anti")
    if not missing.is_empty():
        fresh = pl.DataFrame(
            {"sha256": missing["sha256"], "features": _compute(missing, embedding, number, report)},
        )
        known = fresh if known is None else pl.concat([known, fresh])
        write_table(path, known)
    if known is None:  # no photos at all
        return np.empty((0, 0), np.float32)
    rows = photos.select("sha256").join(known, on="sha256", how="left", maintain_order="left")
    return np.ascontiguousarray(rows["features"].to_numpy(), dtype=np.float32).copy()


def _compute(photos: pl.DataFrame, embedding: Embedding, number: int, report: Report) -> Float32Array:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(embedding.onnx, options, providers=["CPUExecutionProvider"])

    def embed(rows: Sequence[tuple[bytes, str]]) -> Float32Array:
        # One photo at a time: its activations stay in the core's cache, and its features depend on nothing else.
        photos = (views.view(jpeg, sha256, embedding.how, number)[None] for jpeg, sha256 in rows)
        return np.concatenate([session.run(None, {INPUT: photo})[0] for photo in photos])

    rows = photos.select("jpeg", "sha256").rows()
    batches = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    step = "Computing features" if number == 0 else f"Computing features, view {number + 1}"
    report(step, 0, len(rows))
    done: list[Float32Array] = []
    with ThreadPoolExecutor(engine.n_workers(0)) as pool:
        for features in pool.map(embed, batches):
            done.append(features)
            report(step, min(len(done) * _CHUNK, len(rows)), len(rows))
    return np.concatenate(done)
