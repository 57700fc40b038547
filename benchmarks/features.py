"""Backbone features of photos, as fledged computes them, for the peers that need features to work on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of
from fledged.networks import backbones
from fledged.networks.weights import locate
from fledged.products import Preprocess
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace


def features(files: Sequence[Path], weights: Path | None, work: Path) -> npt.NDArray[np.float32]:
    """(N, F) pooled features; of MobileNetV2 with these weights, or of EfficientNet-Lite0 without.

    Cached by content in `work`.
    """
    config = TrainConfig(weights=str(weights)) if weights else TrainConfig(backbone="efficientnet_lite0")
    backbone = backbones.build(locate(config))
    how = Preprocess(mean=backbone.mean, std=backbone.std)
    workspace = Workspace(work)
    embedding = embedding_of(backbone.name, backbone.module, how, workspace)
    data = [file.read_bytes() for file in files]
    photos = pl.DataFrame({"sha256": [hashlib.sha256(one).hexdigest() for one in data], "jpeg": data})
    return features_of(photos, embedding, 0, workspace, silent)
