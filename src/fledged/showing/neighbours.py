"""The training photos that are most alike to a photo, to the network: what it may have gone by.

Photos are compared by what the head is given: the backbone's pooled features, standardised by their statistics over
the training photos. The frozen backbone's are those that training has cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from fledged import images
from fledged.embedding.features import features_of, open_graph
from fledged.embedding.graphs import frozen_of
from fledged.engine import n_workers
from fledged.errors import naming
from fledged.images import BadPhoto
from fledged.measuring import photos as labelled
from fledged.measuring.network import Network
from fledged.measuring.photos import Photo
from fledged.measuring.subject import Float32Array
from fledged.networks.model import Classifier
from fledged.pages.thumbnails import Thumbnail, shrunk
from fledged.products import Dataset
from fledged.progress import Report, track
from fledged.workspace import Workspace

# Compared with all that are cached. A backbone of its own has no cache before it is first asked: a sample will do.
_MOST_CACHED = 50_000
_MOST_COMPUTED = 1_000
_THUMBNAIL_PX = 96
_JPEG_QUALITY = 75
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Near:
    """A training photo, and how alike it is: the cosine between features, -1..1."""

    path: str
    label: str
    similarity: float
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest training photos of some photos, by their keys; the nearest first."""

    n_training: int
    n_compared: int
    of: dict[int, tuple[Near, ...]] = field(default_factory=dict)


def neighbours_of(
    photos: dict[int, Photo], network: Network, dataset: Dataset, n_wanted: int, workspace: Workspace, report: Report
) -> Neighbours:
    """The `n_wanted` nearest training photos of each photo that can be read."""
    run, model = network.run, network.model
    training = _training(dataset, _MOST_CACHED if run.mode == "transfer" else _MOST_COMPUTED)
    n_wanted = min(n_wanted, training.height)
    if not photos or not n_wanted:
        return Neighbours(dataset.n_in("train"), training.height)
    embedding = frozen_of(run, model.embed.backbone, workspace)
    known_NF = _as_given(model, features_of(training, embedding, 0, workspace, report))
    ask = open_graph(embedding)

    def asked(photo: Photo) -> Float32Array | None:
        try:
            square = images.model_input(labelled.read(photo), model.embed.how)
        except BadPhoto:
            return None
        features_F: Float32Array = ask(square[None])[0]
        return features_F

    with ThreadPoolExecutor(n_workers(0)) as pool:
        each = track(pool.map(asked, photos.values()), "Looking for neighbours", len(photos), report)
        found = {key: features_F for key, features_F in zip(photos, each, strict=True) if features_F is not None}
    if not found:
        return Neighbours(dataset.n_in("train"), training.height)
    keys = list(found)
    nearest, similarity = _nearest(_as_given(model, np.stack(list(found.values()))), known_NF, n_wanted)
    shown = _shown(training, dataset.classes, sorted({int(row) for row in nearest.ravel()}))
    return Neighbours(
        dataset.n_in("train"),
        training.height,
        {
            key: tuple(
                Near(path, label, float(alike), thumbnail)
                for row, alike in zip(nearest[place], similarity[place], strict=True)
                for path, label, thumbnail in [shown[int(row)]]
            )
            for place, key in enumerate(keys)
        },
    )


def _training(dataset: Dataset, most: int) -> pl.DataFrame:
    """jpeg, path, label (class index) and sha256 of the training photos, or of a sample that is always the same."""
    with naming(dataset.folder):
        return _read_training(dataset, most)


def _read_training(dataset: Dataset, most: int) -> pl.DataFrame:
    shards = pl.concat([pl.scan_parquet(path) for path in dataset.shards("train")])
    # A sha256 is as good as drawing lots. The keys come first: the photos may be more than memory holds.
    wanted = shards.select("sha256", "label").collect().unique().sort("sha256", "label").head(most)
    found = shards.join(wanted.lazy(), on=["sha256", "label"], how="semi").select(
        pl.col("image").struct.field("bytes").alias("jpeg"),
        pl.col("image").struct.field("path").alias("path"),
        "label",
        "sha256",
    )
    return found.collect().unique(["sha256", "label"], keep="first").sort("path")


def _as_given(model: Classifier, features_NF: Float32Array) -> Float32Array:
    """Standardised as the head does it, each of length 1."""
    values: Float32Array = (features_NF - model.head.centre.numpy()) * model.head.scale.numpy()
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    np.divide(values, lengths, out=values, where=lengths > 0)
    return values


def _nearest(
    wanted_MF: Float32Array, known_NF: Float32Array, n: int
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], Float32Array]:
    """Rows of the n most alike of each, and how alike they are."""
    rows, alike = [], []
    for start in range(0, len(wanted_MF), _CHUNK):
        cosines = wanted_MF[start : start + _CHUNK] @ known_NF.T
        best = np.argpartition(-cosines, n - 1, axis=1)[:, :n]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(cosines, best, 1), 1, kind="stable"), 1)
        rows.append(best)
        alike.append(np.take_along_axis(cosines, best, 1))
    return np.concatenate(rows), np.concatenate(alike)


def _shown(
    training: pl.DataFrame, classes: Sequence[str], rows: Sequence[int]
) -> dict[int, tuple[str, str, Thumbnail | None]]:
    chosen = training[list(rows)].select("path", "label", "jpeg").rows()
    return {
        row: (path, classes[label], _thumbnail(jpeg)) for row, (path, label, jpeg) in zip(rows, chosen, strict=True)
    }


def _thumbnail(jpeg: bytes) -> Thumbnail | None:
    try:
        return shrunk(jpeg, _THUMBNAIL_PX, _JPEG_QUALITY)
    except BadPhoto:
        return None
