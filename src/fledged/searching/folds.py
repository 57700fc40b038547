"""Folds of a dataset's train and val photos: datasets of their own, by group, without a test split."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from sklearn.model_selection import StratifiedGroupKFold

from fledged.errors import ConfigError, naming
from fledged.products import Dataset
from fledged.sealed import is_intact, write_sealed
from fledged.workspace import Workspace
from fledged.writing import bytes_of_file, make_folder, write_bytes


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
    folder = workspace.cache(f"folds/{dataset.id}-{n_folds}-{seed}")
    each = [photos.drop("group")[judging] for _, judging in parts]
    paths = [folder / f"part-{number}.parquet" for number in range(n_folds)]
    for path, some in zip(paths, each, strict=True):
        if not (path.exists() and is_intact(path)):
            write_sealed(path, some)
    return [_fold(dataset, each, paths, number) for number in range(n_folds)]


def _fold(dataset: Dataset, each: Sequence[pl.DataFrame], paths: Sequence[Path], number: int) -> Dataset:
    """The fold that this part judges; a folder of links, so that photos lie on the disk once for all folds."""
    folder = paths[number].parent / str(number)
    make_folder(folder)
    others = [at for at in range(len(paths)) if at != number]
    shards = {"val-00000.parquet": paths[number]}
    shards |= {f"train-{place:05d}.parquet": paths[at] for place, at in enumerate(others)}
    for name, path in shards.items():
        _link(path, folder / name)
    labels = {"train": pl.concat([each[at]["label"] for at in others]), "val": each[number]["label"]}
    counts = {
        split: {dataset.classes[label]: n for label, n in some.value_counts(sort=True).iter_rows()}
        for split, some in labels.items()
    }
    fold = dataset.model_copy(
        update={
            "id": f"{folder.parent.name}-{number}",
            "photos_by_split": {**counts, "test": {}},
            "files": dict.fromkeys(shards, ""),
        }
    )
    fold.at(folder)
    return fold


def _link(path: Path, link: Path) -> None:
    """A second name for an intact file, or a copy where the disk has no such links."""
    if link.exists() and (link.samefile(path) or is_intact(link)):
        return
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:
        write_bytes(link, bytes_of_file(path))
