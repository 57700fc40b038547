"""Folds of a dataset's train and val photos: datasets of their own, by group, without a test split."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedGroupKFold

from fledged.errors import ConfigError, naming
from fledged.products import Dataset
from fledged.sealed import is_intact, write_sealed
from fledged.workspace import Workspace


def folds_of(dataset: Dataset, n_folds: int, seed: int, workspace: Workspace) -> list[Dataset]:
    """Datasets of which each photo of train and val is in val once, with its group; test is neither read nor there.

    Their shards are kept in the cache. Raises ConfigError if there are fewer groups than folds.
    """
    members = dataset.members().filter(pl.col("split").is_in(["train", "val"]))
    group_of = members.unique("sha256", keep="first", maintain_order=True).select("sha256", "group")
    shards = [path for split in ("train", "val") for path in dataset.shards(split)]
    with naming(dataset.folder):
        photos = pl.concat([pl.read_parquet(path) for path in shards])
    photos = photos.join(group_of, on="sha256", how="left", maintain_order="left")
    if (n_groups := photos["group"].n_unique()) < n_folds:
        raise ConfigError(
            f"`tune.folds` is {n_folds}; train and val have {n_groups} group{'s' if n_groups > 1 else ''} of photos",
            where=f"dataset {dataset.id}",
            remedy="Take fewer folds, or more photos.",
        )
    labels_N = photos["label"].to_numpy()
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of fewer photos than folds: some folds judge it not
        try:
            parts = list(splitter.split(labels_N, labels_N, photos["group"].to_numpy()))
        except ValueError as error:
            raise ConfigError(
                f"`tune.folds` is {n_folds}, and no class has as many photos", remedy="Take fewer folds."
            ) from error
    return [
        _fold(dataset, photos.drop("group"), judging, f"{dataset.id}-{n_folds}-{seed}-{number}", workspace)
        for number, (_, judging) in enumerate(parts)
    ]


def _fold(
    dataset: Dataset,
    photos: pl.DataFrame,
    judging: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    name: str,
    workspace: Workspace,
) -> Dataset:
    is_val = pl.Series(np.isin(np.arange(photos.height), judging))
    folder = workspace.cache(f"folds/{name}")
    split_into = {"train": photos.filter(~is_val), "val": photos.filter(is_val)}
    for split, some in split_into.items():
        path = folder / f"{split}-00000.parquet"
        if not (path.exists() and is_intact(path)):
            write_sealed(path, some)
    counts = {
        split: {dataset.classes[label]: n for label, n in some["label"].value_counts(sort=True).iter_rows()}
        for split, some in split_into.items()
    }
    fold = dataset.model_copy(
        update={
            "id": name,
            "photos_by_split": {**counts, "test": {}},
            "files": {f"{split}-00000.parquet": "" for split in split_into},
        }
    )
    fold.at(folder)
    return fold
