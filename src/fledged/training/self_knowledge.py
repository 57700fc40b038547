"""The last step of a training: how sure the network may be of its answers, and from when on it does not know.

Both are found on features as they will be served, of the same ONNX graph. Centroids come from training photos,
temperature and threshold from validation photos; test is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import safetensors.numpy
import torch

from fledged.networks.knowing import CENTROIDS, centroids_of, temperature_of, threshold_of, unknown_scores
from fledged.networks.model import Classifier
from fledged.products import Calibration, Split, Unknown
from fledged.training.batches import read_split
from fledged.training.features import Embedding, Float32Array, features_of
from fledged.training.job import Job
from fledged.training.transfer import embedding_of

# The features of a backbone that was trained are in no cache, and a centroid needs no more photos than this.
_MAX_PHOTOS = 2000
_MAX_OF_CLASS = 200


@dataclass(frozen=True, slots=True)
class SelfKnowledge:
    """What a network knows of itself."""

    calibration: Calibration
    unknown: Unknown | None
    centroids_CF: Float32Array

    @property
    def file(self) -> bytes:
        """The centroids, as they are kept."""
        return safetensors.numpy.save({CENTROIDS: self.centroids_CF})


def self_knowledge(job: Job, name: str, model: Classifier) -> SelfKnowledge:
    """Of the trained network, whose backbone is of the architecture `name`; it is on the CPU, in evaluation mode."""
    embedding = embedding_of(name, model.embed.backbone, model.embed.how, job.workspace)
    train, val = known_photos(job, "train"), known_photos(job, "val")
    n_classes = len(job.dataset.classes)
    features_NF = _features(train, embedding, job)
    centroids_CF = centroids_of(features_NF, train["label"].to_numpy(), n_classes)
    if val.is_empty():
        return SelfKnowledge(Calibration(temperature=1.0, n_photos=0), None, centroids_CF)
    features_NF = _features(val, embedding, job)
    with torch.inference_mode():
        logits_NC = model.head(torch.from_numpy(features_NF)).numpy()
    share = job.config.unknown.share_kept
    return SelfKnowledge(
        Calibration(temperature=temperature_of(logits_NC, val["label"].to_numpy()), n_photos=val.height),
        Unknown(
            threshold=threshold_of(unknown_scores(features_NF, centroids_CF), share),
            share_kept=share,
            n_photos=val.height,
        ),
        centroids_CF,
    )


def known_photos(job: Job, split: Split) -> pl.DataFrame:
    """jpeg, label and sha256; of training photos whose features are in no cache only some, the same ones each time."""
    if not job.dataset.n_in(split):
        return pl.DataFrame(schema={"jpeg": pl.Binary, "label": pl.Int64, "sha256": pl.String})
    photos = read_split(job.dataset, split)
    if split != "train" or job.mode == "transfer":
        return photos
    of_class = max(1, min(_MAX_OF_CLASS, _MAX_PHOTOS // len(job.dataset.classes)))
    return photos.sort("sha256").group_by("label", maintain_order=True).head(of_class)


def _features(photos: pl.DataFrame, embedding: Embedding, job: Job) -> Float32Array:
    return features_of(photos, embedding, 0, job.workspace, job.report)
