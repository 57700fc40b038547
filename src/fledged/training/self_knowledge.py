"""The last step of a training: how sure the network may be of its answers, and from when on it does not know.

Both are found on features as they will be served, of the same ONNX graph. Regions come from training photos,
temperature and threshold from validation photos; test is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import torch

from fledged.embedding.features import Embedding, features_of
from fledged.embedding.graphs import embedding_of
from fledged.fitting.batches import read_split
from fledged.networks.knowing import Regions, regions_of, temperature_of, threshold_of
from fledged.networks.model import Classifier, Head
from fledged.products import Calibration, Dataset, Unknown
from fledged.progress import Report
from fledged.training.job import Job, embedding_for
from fledged.workspace import Workspace

# The features of a backbone that was trained are in no cache, and a covariance needs no more photos than this.
_MAX_PHOTOS = 2000
_FEWEST_OF_CLASS = 5


@dataclass(frozen=True, slots=True)
class SelfKnowledge:
    """What a network knows of itself."""

    calibration: Calibration
    unknown: Unknown | None
    regions: Regions


def self_knowledge(job: Job, name: str, model: Classifier) -> SelfKnowledge:
    """Of the trained network, whose backbone is of the architecture `name`; it is on the CPU, in evaluation mode."""
    parts = (name, model.embed.backbone, model.embed.how)
    # Of a frozen backbone, training has computed them; of another one, they are new, and computed as they are served.
    embedding = embedding_for(job, *parts) if job.mode == "transfer" else embedding_of(*parts, job.workspace)
    return knowledge_of(embedding, model.head, job.dataset, job.config.unknown.share_kept, job.workspace, job.report)


def knowledge_of(
    embedding: Embedding, head: Head, dataset: Dataset, share_kept: float, workspace: Workspace, report: Report
) -> SelfKnowledge:
    """Of a head on the features of this graph."""
    train, val = some_of(read_split(dataset, "train")), read_val(dataset)
    features_NF = features_of(train, embedding, 0, workspace, report)
    regions = regions_of(features_NF, train["label"].to_numpy())
    if val.is_empty():
        return SelfKnowledge(Calibration(temperature=1.0, n_photos=0), None, regions)
    features_NF = features_of(val, embedding, 0, workspace, report)
    with torch.inference_mode():
        logits_NC = head(torch.from_numpy(features_NF)).numpy()
    return SelfKnowledge(
        Calibration(temperature=temperature_of(logits_NC, val["label"].to_numpy()), n_photos=val.height),
        Unknown(
            threshold=threshold_of(regions.scores(features_NF), share_kept), share_kept=share_kept, n_photos=val.height
        ),
        regions,
    )


def some_of(photos: pl.DataFrame) -> pl.DataFrame:
    """Training photos (columns label and sha256 among others), as many as regions need: the same ones each time."""
    of_class = max(_FEWEST_OF_CLASS, _MAX_PHOTOS // max(1, photos["label"].n_unique()))
    if photos.height <= _MAX_PHOTOS:
        return photos
    return photos.sort("sha256").group_by("label", maintain_order=True).head(of_class)


def n_asked(dataset: Dataset) -> int:
    """Photos whose features are needed, which takes time where the backbone was trained."""
    return min(_MAX_PHOTOS, dataset.n_in("train")) + dataset.n_in("val")


def read_val(dataset: Dataset) -> pl.DataFrame:
    """jpeg, label (class index) and sha256 of the validation photos, also where there are none."""
    if not dataset.n_in("val"):
        return pl.DataFrame(schema={"jpeg": pl.Binary, "label": pl.Int64, "sha256": pl.String})
    return read_split(dataset, "val")
