"""The frozen part, computed once: pooled features of photos, cached by the shrunk copy's content.

The backbone runs as ONNX, a photo at a time on one thread, in as many threads as there are cores or on a cluster: the
same graph and runtime that are served, or an engine that agrees with it (`agreement`), so a head is trained on the very
numbers that it will be given.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import numpy as np
import polars as pl

from fledged import engine
from fledged.augmenting import views
from fledged.embedding import engines
from fledged.embedding.engines import SERVES, Ask, Float32Array
from fledged.engine import LOCAL, Engine
from fledged.errors import EngineError, WorkspaceError
from fledged.parts import Parts
from fledged.products import Preprocess
from fledged.progress import Report
from fledged.recipes import Recipe
from fledged.workspace import Workspace

_LOG = logging.getLogger("fledged")

_CHUNK = 16  # photos that a thread takes at once
_PART = 4096  # photos between two writes: what a crash can cost


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
    on: Engine = LOCAL  # who computes, which no feature depends on
    engine: engines.Name = SERVES  # what runs the graph

    @property
    def kept_as(self) -> str:
        """What names the caches of what it makes, with the views."""
        return self.key if self.engine == SERVES else f"{self.key} {self.engine}"


def features_of(
    photos: pl.DataFrame,
    embedding: Embedding,
    number: int,
    workspace: Workspace,
    report: Report,
    recipe: Recipe = (),
) -> Float32Array:
    """Features (N, F) of view `number` of each photo (columns sha256 and jpeg), from the cache or computed now.

    Where the disk is full, they are held in memory instead.
    """
    refused: list[pl.DataFrame] = []
    keys = add_features(photos, embedding, number, workspace, report, recipe, refused=refused)
    return read_features(keys, embedding, number, workspace, recipe, refused)


def add_features(
    photos: pl.DataFrame,
    embedding: Embedding,
    number: int,
    workspace: Workspace,
    report: Report,
    recipe: Recipe = (),
    known: pl.DataFrame | None = None,
    refused: list[pl.DataFrame] | None = None,
) -> pl.Series:
    """The keys of the photos (columns sha256 and jpeg) in the cache; what it does not know yet is computed and kept.

    `known` is what `known_features` told, where the caller asks again and again: it opens every part of the cache.
    What the disk does not take is added to `refused`; without that it raises WorkspaceError.
    """
    keys = copy_keys(photos["jpeg"])
    missing = photos.with_columns(copy=keys).unique("copy", keep="first", maintain_order=True)
    known = known_features(embedding, number, workspace, recipe) if known is None else known
    missing = missing.join(known, on="copy", how="anti", maintain_order="left")
    if not missing.is_empty():
        parts, done = feature_parts(embedding, number, workspace, recipe), 0
        for fresh in _compute(missing, embedding, number, recipe, report):
            rows = pl.DataFrame({"copy": missing["copy"][done : done + len(fresh)], "features": fresh})
            done += len(fresh)
            try:
                parts.add(rows)
            except WorkspaceError as reason:
                if refused is None:
                    raise
                if not refused:
                    _LOG.warning("Features are not kept, and computed again the next time: %s", reason.fact)
                refused.append(rows)
    return keys


def copy_keys(jpegs: pl.Series) -> pl.Series:
    """The sha256 of each shrunk copy: what its features depend on, however it was shrunk."""
    return pl.Series("copy", [hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs], pl.String)


def known_features(
    embedding: Embedding, number: int, workspace: Workspace, recipe: Recipe = (), *, all_of_them: bool = False
) -> pl.DataFrame:
    """The keys (column copy) of all photos whose features are in the cache; `all_of_them` as in `Parts.known`."""
    return feature_parts(embedding, number, workspace, recipe).known({"copy": pl.String}, all_of_them=all_of_them)


def read_features(
    keys: pl.Series,
    embedding: Embedding,
    number: int,
    workspace: Workspace,
    recipe: Recipe = (),
    refused: Sequence[pl.DataFrame] = (),
) -> Float32Array:
    """Features (N, F) of photos that are in the cache, or in what it refused to take, in the order of `keys`.

    Raises WorkspaceError where somebody has removed some of them since.
    """
    parts = feature_parts(embedding, number, workspace, recipe)
    features: Float32Array | None = None
    is_there = np.zeros(len(keys), bool)
    wanted = pl.DataFrame({"copy": keys, "row": np.arange(len(keys), dtype=np.int64)})
    kept = parts.rows_of(keys, "features")
    for found in itertools.chain(kept, (wanted.join(table, on="copy") for table in refused)):
        values, rows = found["features"].to_numpy(), found["row"].to_numpy()
        if features is None:
            features = np.empty((len(keys), values.shape[1]), np.float32)
        features[rows] = values
        is_there[rows] = True
    if not is_there.all():
        raise WorkspaceError("Cached features are gone", where=parts.folder, remedy="Run the same command again.")
    return np.empty((0, 0), np.float32) if features is None else features


def feature_parts(embedding: Embedding, number: int, workspace: Workspace, recipe: Recipe = ()) -> Parts:
    """The cache, with the columns copy and features."""
    parts = [embedding.kept_as, *views.key(number, recipe), embedding.how.model_dump_json()]
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return Parts(workspace.cache(f"features/{name}"), "copy")


def open_graph(embedding: Embedding) -> Ask:
    """The graph, to be asked by several threads at once, each question answered on one."""
    return engines.opened(embedding.engine, embedding.onnx)


def embed(ask: Ask, photos: Sequence[tuple[bytes, str]], how: Preprocess, number: int, recipe: Recipe) -> Float32Array:
    """What the graph makes of view `number` of each photo (jpeg and sha256)."""
    # One photo at a time: its activations stay in the core's cache, and its features depend on nothing else.
    inputs = (views.view(jpeg, how, number, recipe)[None] for jpeg, _ in photos)
    return np.concatenate([ask(photo) for photo in inputs])


@dataclass(frozen=True, slots=True)
class Embedder:
    """The job that makes of jpegs and sha256s what the graph makes of a view of each."""

    embedding: Embedding
    number: int
    recipe: Recipe

    def open(self) -> Callable[[Sequence[tuple[bytes, str]]], list[Float32Array]]:
        """The graph, opened."""
        return partial(self._run, open_graph(self.embedding))

    def enter(self) -> None:
        """Views are made by one thread each."""
        views.alone()

    def _run(self, ask: Ask, photos: Sequence[tuple[bytes, str]]) -> list[Float32Array]:
        return list(embed(ask, photos, self.embedding.how, self.number, self.recipe))


def killed(item: object) -> NoReturn:
    """Raises EngineError: a copy that was made here is no bad photo, so it was for want of memory."""
    what = f"the copy {item[1]}" if isinstance(item, tuple) else "a photo"
    raise EngineError(
        f"Each worker that computed the features of {what} was killed",
        remedy="Give the machines of the cluster more memory a core, or start them with fewer cores.",
    )


def _compute(
    photos: pl.DataFrame, embedding: Embedding, number: int, recipe: Recipe, report: Report
) -> Iterator[Float32Array]:
    """The features of the photos in their order, some thousands at a time."""
    n = photos.height
    slices = (photos["jpeg", "sha256"][start : start + _CHUNK] for start in range(0, n, _CHUNK))
    job = Embedder(embedding, number, recipe)
    step = "Computing features" if number == 0 else f"Computing features, view {number + 1}"
    report(step, 0, n)
    fresh: list[Float32Array] = []
    done = 0
    for features in engine.map_batches(job, (some.rows() for some in slices), killed, embedding.on):
        fresh += features
        done += len(features)
        report(step, done, n)
        if len(fresh) >= _PART or done == n:
            yield np.stack(fresh)
            fresh = []
