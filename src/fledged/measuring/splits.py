"""The same model on train and val, for comparison with test: from features that training left in the cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fledged.measured import SplitFigures
from fledged.measuring import metrics
from fledged.measuring.metrics import FloatArray, IntArray
from fledged.measuring.resampling import Groups, accuracy, by_group, groups_of, share, totals
from fledged.measuring.subject import Float32Array
from fledged.products import WEIGHTS_FILE, Dataset, Run, Split
from fledged.workspace import Workspace

_FROM_FEATURES = "the run's weights on cached features of the shrunk copies, no augmentation"
_FROM_HISTORY = {
    "train": "the mean over the best epoch, on augmented photos while the weights moved",
    "val": "as training measured it after the best epoch, on the shrunk copies",
}


@dataclass(frozen=True, slots=True)
class Cached:
    """Frozen features of train and val, one after the other, and what the run's head makes of them."""

    splits: tuple[Split, ...]  # of each photo
    labels_N: IntArray
    groups: tuple[str, ...]
    features_NF: Float32Array
    probabilities_NC: Float32Array


def cached(run: Run, dataset: Dataset, workspace: Workspace) -> Cached | str:
    """What is in the cache, or why there is nothing; nothing is computed that training has not."""
    if run.mode != "transfer":
        return "the backbone was trained too, so there are no frozen features of its own"
    if not (run.folder / WEIGHTS_FILE).exists() or not (dataset.shards("train") and dataset.shards("val")):
        return "the run's weights or the dataset's shrunk copies are not here"
    # Imported here: who judges a bundle waits for no torch.
    import polars as pl
    import torch

    from fledged.embedding.features import copy_keys, known_features, read_features
    from fledged.embedding.graphs import frozen_of
    from fledged.fitting.batches import read_split
    from fledged.networks.inference import load_classifier, one_core, usual_cores

    classifier = load_classifier(run)
    embedding = frozen_of(run, classifier.embed.backbone, workspace)
    splits: tuple[Split, ...] = ("train", "val")
    photos = [read_split(dataset, split) for split in splits]
    both = pl.concat(photos)
    keys = copy_keys(both["jpeg"])
    # What cannot be read for a moment is here: a report would say for good that it is not.
    if not set(keys) <= set(known_features(embedding, 0, workspace, all_of_them=True)["copy"]):
        return "the cached features of its training are not here"
    features_NF = read_features(keys, embedding, 0, workspace)
    temperature = run.calibration.temperature if run.calibration else 1.0
    with usual_cores(), torch.inference_mode():
        one_core()  # others are answering photos meanwhile
        logits_NC = classifier.head(torch.from_numpy(features_NF))
        probabilities_NC = (logits_NC / temperature).softmax(1).numpy()
    members = dataset.members().unique("sha256", keep="first").select("sha256", "group")
    groups = both.select("sha256").join(members, on="sha256", how="left", maintain_order="left")["group"]
    return Cached(
        splits=tuple(split for split, rows in zip(splits, photos, strict=True) for _ in range(rows.height)),
        labels_N=both["label"].to_numpy().astype(np.int64),
        groups=tuple(str(group) for group in groups),
        features_NF=features_NF,
        probabilities_NC=probabilities_NC,
    )


def of_cached(what: Cached) -> tuple[SplitFigures, ...]:
    """Figures of train and val, from features."""
    result = []
    for split in ("train", "val"):
        rows = np.flatnonzero(np.array([of == split for of in what.splits]))
        true, probabilities_NC = what.labels_N[rows], what.probabilities_NC[rows]
        predicted: IntArray = probabilities_NC.argmax(axis=1).astype(np.int64)
        counts_CC = metrics.confusion(true, predicted, probabilities_NC.shape[1])
        groups = groups_of([what.groups[i] for i in rows])
        right_N = (true == predicted).astype(np.float64)
        made = SplitFigures(
            split=split,
            accuracy=accuracy(int(right_N.sum()), len(rows), _means(right_N, groups), groups),
            macro_f1=metrics.macro_f1(counts_CC),
            log_loss=metrics.log_loss(true, probabilities_NC),
            how=_FROM_FEATURES,
        )
        result.append(made)
    return tuple(result)


def of_history(run: Run, dataset: Dataset) -> tuple[SplitFigures, ...]:
    """What training itself measured, where nothing better is at hand."""
    history = run.history()
    best = history.filter(history["epoch"] == run.best_epoch).row(0, named=True)
    return tuple(
        SplitFigures(
            split=split,
            accuracy=metrics.wilson(min(n, round(n * best[f"{split}_accuracy"])), n),
            macro_f1=None,
            log_loss=best[f"{split}_loss"],
            how=_FROM_HISTORY[split],
        )
        for split in ("train", "val")
        if (n := dataset.n_in("train" if split == "train" else "val"))
    )


def _means(values_N: FloatArray, groups: Groups) -> FloatArray:
    """The mean over the photos of each resample (B,)."""
    columns = np.zeros(2 * len(values_N), dtype=np.int64)
    columns[len(values_N) :] = 1
    twice = Groups(np.tile(groups.of_N, 2), groups.n)
    totals_B2 = totals(groups, by_group(twice, columns, np.concatenate([values_N, np.ones(len(values_N))]), 2))
    return share(totals_B2[:, 0], totals_B2[:, 1])
