"""Training a head on a frozen backbone: the photos go through the backbone once, the head sees only features."""

from __future__ import annotations

import torch

from fledged.embedding.features import Embedding, feature_parts, features_of
from fledged.embedding.room import keep_within
from fledged.fitting.batches import FeatureBatches, read_split
from fledged.fitting.plan import Plan
from fledged.products import Dataset
from fledged.progress import Report
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace

_VAL_BATCH = 4096


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
    used = [(number, recipe) for number in range(n_views)] + [(0, ())]
    folders = [feature_parts(embedding, number, workspace, recipe).folder for number, recipe in used]
    if there := [folder for folder in folders if folder.is_dir()]:  # a full disk takes none
        keep_within(there, int(config.cache.limit_gigabytes * 1e9))
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
