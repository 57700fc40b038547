"""What is served of a run: its graph in one precision, with the temperature and the threshold that belong to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fledged.embedding.features import Embedding
from fledged.embedding.graphs import embedding_of
from fledged.exporting.compose import Top, compose
from fledged.exporting.int8 import in_integers
from fledged.fitting.batches import read_split
from fledged.networks.inference import load_classifier, load_regions
from fledged.networks.knowing import Regions
from fledged.networks.model import Head
from fledged.products import Calibration, Dataset, Run, Unknown
from fledged.progress import Report
from fledged.settings.results import Int8Config
from fledged.training.self_knowledge import knowledge_of
from fledged.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Served:
    """The graph, and what is inside it."""

    onnx: bytes
    calibration: Calibration | None
    unknown: Unknown | None


def in_fp32(run: Run, workspace: Workspace) -> Served:
    """The very numbers that the run was judged with."""
    classifier = load_classifier(run)
    embedding = embedding_of(run.backbone.name, classifier.embed.backbone, run.preprocess, workspace)
    regions = load_regions(run) if run.unknown else None
    return Served(_graph(embedding, classifier.head, run.calibration, regions), run.calibration, run.unknown)


def in_int8(run: Run, dataset: Dataset, config: Int8Config, workspace: Workspace, report: Report) -> Served:
    """The same with the backbone in integers; ranges come from training photos.

    Its features are a little other ones, so temperature, regions and threshold are found anew on them, on training and
    validation photos as in training.
    """
    classifier = load_classifier(run)
    exact = embedding_of(run.backbone.name, classifier.embed.backbone, run.preprocess, workspace)
    data = in_integers(exact.onnx, calibration_photos(dataset, config.photos), run.preprocess, config)
    embedding = Embedding(data, hashlib.sha256(data).hexdigest()[:16], run.preprocess)
    if run.calibration is None:  # a run of before there was one
        return Served(_graph(embedding, classifier.head, None, None), None, None)
    share_kept = run.unknown.share_kept if run.unknown else run.settings.unknown.share_kept
    known = knowledge_of(embedding, classifier.head, dataset, share_kept, workspace, report)
    regions = known.regions if known.unknown else None
    return Served(_graph(embedding, classifier.head, known.calibration, regions), known.calibration, known.unknown)


def _graph(embedding: Embedding, head: Head, calibration: Calibration | None, regions: Regions | None) -> bytes:
    top = Top(
        centre_F=head.centre.numpy(),
        scale_F=head.scale.numpy(),
        layers=[(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in head.layers],
        temperature=calibration.temperature if calibration else 1.0,
        regions=regions,
    )
    return compose(embedding.onnx, top)


def calibration_photos(dataset: Dataset, n: int) -> Sequence[bytes]:
    """JPEG files of training photos, as many of each class as there are and no more than n in all; always the same."""
    train = read_split(dataset, "train").sort("sha256")
    of_class = max(1, n // max(1, train["label"].n_unique()))
    return train.group_by("label", maintain_order=True).head(of_class).head(n)["jpeg"].to_list()
