"""Training a head on a frozen backbone: the photos go through the backbone once, the head sees only features."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from fledged.products import Dataset, Preprocess
from fledged.progress import Report
from fledged.settings.training import TrainConfig
from fledged.training import graph
from fledged.training.batches import FeatureBatches, read_split
from fledged.training.features import Embedding, features_of
from fledged.training.loop import Plan
from fledged.training.model import Embedder
from fledged.workspace import Workspace, write_bytes

_VAL_BATCH = 4096


def embedding_of(name: str, module: nn.Module, how: Preprocess, workspace: Workspace) -> Embedding:
    """The feature extractor `module`, of the architecture `name`, as ONNX: from the cache or exported now."""
    digest = hashlib.sha256(f"{name} {graph.OPSET} {how.model_dump_json()}".encode())
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    fingerprint = digest.hexdigest()[:16]
    path = workspace.cache(f"onnx/{fingerprint}.onnx")
    if not path.exists():
        write_bytes(path, graph.to_onnx(Embedder(module, how), how.size_px, "features"))
    return Embedding(path.read_bytes(), fingerprint, how)


def feature_batches(
    dataset: Dataset, embedding: Embedding, plan: Plan, config: TrainConfig, workspace: Workspace, report: Report
) -> tuple[FeatureBatches, FeatureBatches]:
    """Batches of train (in transfer mode as many views a photo as asked for, else one) and of what judges it."""
    n_views = config.views if config.mode == "transfer" else 1
    recipe = config.augment.recipe
    train, val = read_split(dataset, "train"), read_split(dataset, plan.judged_on)
    views = [features_of(train, embedding, number, workspace, report, recipe) for number in range(n_views)]
    train_KNF = torch.stack([torch.from_numpy(features) for features in views])
    val_KNF = torch.from_numpy(features_of(val, embedding, 0, workspace, report))[None]
    return (
        FeatureBatches(
            train_KNF,
            train["label"].to_torch(),
            plan.batch_size,
            plan.seed,
            shuffle=True,
            balanced=plan.balance == "sampling",
        ),
        FeatureBatches(val_KNF, val["label"].to_torch(), _VAL_BATCH, plan.seed, shuffle=False),
    )
