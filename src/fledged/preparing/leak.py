"""What a random split would have claimed: accuracy with groups torn apart, against accuracy with groups kept whole.

A logistic regression on the frozen backbone's features (the cache that training uses) is judged by cross-validation
in both ways, on the same photos, so each photo is judged as often in either: by a head that may have seen others of
its group, and by one that has not. Of equal files only one takes part: a folder split as it lies would claim more yet.

Photos of a group are right or wrong together, so intervals count groups and not photos: the variance is that of a
ratio of sums over clusters (W. Cochran, Sampling Techniques, 1977, 11.8), put into Wilson's interval.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fledged.config import resolve
from fledged.embedding.agreement import N_PHOTOS, Inputs, as_inputs, settled
from fledged.embedding.engines import Float32Array
from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of
from fledged.errors import naming
from fledged.networks import backbones
from fledged.networks.weights import Source, locate
from fledged.preparing.members import folds_of
from fledged.preparing.split import Group, place
from fledged.products import SPLITS, Dataset, Figure, Leak, Preprocess
from fledged.progress import Report
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace

N_FOLDS = 5
N_SEEDS = 3
# More photos make the figures no surer than anybody needs, and take minutes.
MAX_PHOTOS = 10_000
_INVERSE_PENALTY = 0.01  # as strong as the decay of the head that is trained
_95_PERCENT = 1.96

BoolArray = npt.NDArray[np.bool_]


def measure(dataset: Dataset, workspace: Workspace, report: Report) -> Leak:
    """The accuracies, on at most MAX_PHOTOS photos of the dataset. Raises WeightsError if there is no backbone."""
    config = resolve(TrainConfig, {"mode": "transfer"})
    source = locate(config)
    known = dataset.leak
    if known is not None and (known.backbone, known.weights_sha256) == (source.backbone, source.sha256):
        return known
    photos = _sample(dataset)
    features_NF = _features(dataset, photos, source, config, workspace, report)
    labels_N = photos["class_index"].to_numpy()
    labels = photos["label"].to_list()
    whole = [Group(str(key), label, n) for key, label, n in _groups(photos).rows()]
    alone = [Group(f"{i:08d}", label, 1) for i, label in enumerate(labels)]
    right: dict[str, list[BoolArray]] = {"random": [], "grouped": []}
    report("Measuring the leak", 0, 2 * N_SEEDS)
    for seed in range(N_SEEDS):
        of_group = folds_of(whole, N_FOLDS, {}, seed)
        of_photo = folds_of(alone, N_FOLDS, {}, seed)
        grouped = [of_group[key] for key in photos["group"]]
        random = [of_photo[group.key] for group in alone]
        for name, folds in (("random", random), ("grouped", grouped)):
            right[name].append(_judge(features_NF, labels_N, np.array(folds)))
            report("Measuring the leak", sum(map(len, right.values())), 2 * N_SEEDS)
    shares = {name: np.mean(of_seeds, axis=0) for name, of_seeds in right.items()}
    clusters = photos["group"].rank("dense").to_numpy().astype(np.int64) - 1
    return Leak(
        random=_accuracy(shares["random"], clusters),
        grouped=_accuracy(shares["grouped"], clusters),
        difference=_difference(shares["random"] - shares["grouped"], clusters),
        backbone=source.backbone,
        weights_sha256=source.sha256,
        n_groups=len(whole),
        n_folds=N_FOLDS,
        n_seeds=N_SEEDS,
    )


def _sample(dataset: Dataset) -> pl.DataFrame:
    """The used photos with their group; where there are too many, groups drawn by their hash."""
    used = dataset.members().filter(pl.col("split").is_not_null()).unique("sha256", keep="first", maintain_order=True)
    if used.height <= MAX_PHOTOS:
        return used
    order = pl.Series([place(0, group) for group in used["group"]])
    return used.sort(order, "sha256").head(MAX_PHOTOS)


def _groups(photos: pl.DataFrame) -> pl.DataFrame:
    return photos.group_by("group", maintain_order=True).agg(pl.col("label").mode().sort().first(), n=pl.len())


def _features(
    dataset: Dataset, photos: pl.DataFrame, source: Source, config: TrainConfig, workspace: Workspace, report: Report
) -> Float32Array:
    """(N, F) of the photos in their order."""
    backbone = backbones.build(source)
    size_px = min(config.input.size_px, dataset.shorter_side_px)
    how = Preprocess(size_px=size_px, resize=config.input.resize, mean=backbone.mean, std=backbone.std)
    shards = [shard for split in SPLITS for shard in dataset.shards(split)]
    with naming(dataset.folder):
        copies = (
            pl.scan_parquet(shards)
            .filter(pl.col("sha256").is_in(photos["sha256"].implode()))
            .select(pl.col("image").struct.field("bytes").alias("jpeg"), "sha256")
            .collect()
            .unique("sha256", keep="first")
        )
    rows = photos.select("sha256").join(copies, on="sha256", how="left", maintain_order="left")

    def inputs() -> Inputs:
        return as_inputs(rows.head(N_PHOTOS).select("jpeg", "sha256").rows(), how)

    embedding = embedding_of(backbone.name, backbone.module, how, workspace)
    embedding = settled(embedding, config.cache.engine, inputs, workspace)
    return features_of(rows, embedding, 0, workspace, report)


def _judge(features_NF: Float32Array, labels_N: npt.NDArray[np.int64], folds_N: npt.NDArray[np.str_]) -> BoolArray:
    """Whether each photo is named rightly by a head that was fitted without its fold."""
    right = np.zeros(len(labels_N), dtype=np.bool_)
    for fold in np.unique(folds_N):
        test = folds_N == fold
        scaler = StandardScaler().fit(features_NF[~test])
        head = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000)
        head.fit(scaler.transform(features_NF[~test]), labels_N[~test])
        right[test] = head.predict(scaler.transform(features_NF[test])) == labels_N[test]
    return right


def _accuracy(right_N: npt.NDArray[np.float64], clusters_N: npt.NDArray[np.int64]) -> Figure:
    mean, variance = _mean_and_variance(right_N, clusters_N)
    n_groups = int(clusters_N.max()) + 1
    # As many independent photos as would be as sure; all right or all wrong: as many as there are groups.
    n = mean * (1 - mean) / variance if variance > 0 else n_groups
    z2_n = _95_PERCENT**2 / n
    centre = (mean + z2_n / 2) / (1 + z2_n)
    half = _95_PERCENT / (1 + z2_n) * math.sqrt(mean * (1 - mean) / n + z2_n / (4 * n))
    return Figure(
        value=mean, low=max(0.0, min(mean, centre - half)), high=min(1.0, max(mean, centre + half)), n=len(right_N)
    )


def _difference(differences_N: npt.NDArray[np.float64], clusters_N: npt.NDArray[np.int64]) -> Figure:
    mean, variance = _mean_and_variance(differences_N, clusters_N)
    half = _95_PERCENT * math.sqrt(variance)
    return Figure(value=mean, low=mean - half, high=mean + half, n=len(differences_N))


def _mean_and_variance(values_N: npt.NDArray[np.float64], clusters_N: npt.NDArray[np.int64]) -> tuple[float, float]:
    """The mean over photos, and its variance if groups had been drawn anew."""
    mean = float(values_N.mean())
    off = np.bincount(clusters_N, weights=values_N - mean)
    n_groups = len(off)
    return mean, float((off**2).sum()) / len(values_N) ** 2 * n_groups / max(1, n_groups - 1)
