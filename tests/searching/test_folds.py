"""Folds by group, in which every photo of train and val judges once; they and other seeds share the caches."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fledged.embedding import activations, features
from fledged.errors import ConfigError
from fledged.fitting.batches import read_split
from fledged.preparing.prepare import prepare
from fledged.products import Dataset
from fledged.progress import silent
from fledged.searching.folds import folds_of
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.rot import flip_a_bit
from tests.tiny import TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 1, "epochs": 1}


def test_every_photo_of_train_and_val_judges_once_and_groups_stay_whole(dataset: Dataset, work: Path) -> None:
    folds = folds_of(dataset, 3, 5, Workspace(work))
    members = dataset.members()
    group_of = dict(members.select("sha256", "group").iter_rows())
    judging = pl.concat([read_split(fold, "val") for fold in folds])
    expected = pl.concat([read_split(dataset, "train"), read_split(dataset, "val")])
    assert sorted(judging["sha256"]) == sorted(expected["sha256"])
    for fold in folds:
        train_photos, val = read_split(fold, "train"), read_split(fold, "val")
        assert train_photos.height + val.height == expected.height
        assert (fold.n_in("train"), fold.n_in("val"), fold.n_in("test")) == (train_photos.height, val.height, 0)
        assert fold.shards("test") == []
        assert not {group_of[sha] for sha in train_photos["sha256"]} & {group_of[sha] for sha in val["sha256"]}
        labels = [dataset.classes[label] for label in val["label"]]
        assert {label: labels.count(label) for label in set(labels)} == fold.photos_by_split["val"]


def test_a_bit_that_flips_goes_into_no_fold(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    expected = read_split(folds_of(dataset, 3, 5, Workspace(work))[0], "val")
    own = Workspace(tmp_path)
    (val, *_) = (read_split(fold, "val") for fold in folds_of(dataset, 3, 5, own))
    assert val.equals(expected)
    for table in own.cache("folds").glob("*/*.parquet"):
        flip_a_bit(table)
    assert read_split(folds_of(dataset, 3, 5, own)[0], "val").equals(expected)


def test_photos_lie_on_the_disk_once_for_all_folds(dataset: Dataset, tmp_path: Path) -> None:
    own = Workspace(tmp_path)
    folds_of(dataset, 3, 5, own)
    tables = list(own.cache("folds").rglob("*.parquet"))
    assert len(tables) == 3 + 3 * 3
    assert len({table.stat().st_ino for table in tables}) == 3


def test_where_the_disk_has_no_links_copies_are_the_same(
    dataset: Dataset, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refused)
    copied, linked = (folds_of(dataset, 3, 5, Workspace(root)) for root in (tmp_path, work))
    for fold, other in zip(copied, linked, strict=True):
        for split in ("train", "val"):
            assert read_split(fold, split).equals(read_split(other, split))


def test_more_folds_than_groups(dataset: Dataset, work: Path) -> None:
    with pytest.raises(ConfigError, match="folds"):
        folds_of(dataset, 1000, 0, Workspace(work))


def test_another_fold_or_seed_computes_nothing_anew(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"unfreeze": 1}  # features for the head that it begins with, and activations
    own_work = tmp_path / "work"
    shutil.copytree(work, own_work)
    computed: list[Any] = []

    def counted(module: Any) -> None:
        compute = module._compute

        def computing(photos: pl.DataFrame, *rest: Any) -> Any:
            computed.append(module)
            return compute(photos, *rest)

        monkeypatch.setattr(module, "_compute", computing)

    counted(features)
    counted(activations)
    folds = [prepare(work=own_work, shorter_side_px=64, fold=f"{number}/3") for number in (1, 2, 3)]
    assert len({tuple(fold.members().filter(split="test")["sha256"]) for fold in folds}) == 3
    runs = [train(fold, work=own_work, report=silent, **SMALL, **settings) for fold in folds[:2]]
    n_known = len(computed)
    computed.clear()
    # By now each photo has been in train or val of some fold.
    runs.append(train(folds[2], work=own_work, report=silent, **SMALL, **settings))
    runs.append(train(folds[0], work=own_work, report=silent, seed=7, **SMALL, **settings))
    assert len({run.id for run in runs}) == 4
    assert n_known > 0
    # What blocks that were trained make of photos is new with each training; what leaves frozen ones is not.
    assert set(computed) <= ({features} if settings else set())
    assert computed.count(features) <= 2 * 2  # train and val, of either run
