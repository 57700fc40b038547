"""A photo far from its class is found; near duplicates do not vouch for each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged.reviewing.outliers import outliers


def cloud(n: int) -> npt.NDArray[np.float32]:
    features = np.random.default_rng(2).normal(size=(n, 8)) * 0.2
    features[:, 0] += 3
    return features.astype(np.float32)


def test_a_photo_that_is_unlike_its_class_is_found() -> None:
    features = cloud(60)
    features[7] = [0, 0, 0, 0, 0, 0, 0, 3]
    found = outliers(pl.Series(["owl"] * 60), np.arange(60), features, 5.0)
    assert found["row"].to_list() == [7]
    assert found["score"][0] > 5


def test_copies_do_not_vouch_for_each_other() -> None:
    features = np.concatenate([cloud(60), np.tile(np.eye(8, dtype=np.float32)[7] * 3, (12, 1))])
    groups = np.array([*range(60), *[60] * 12])
    found = outliers(pl.Series(["owl"] * 72), groups, features, 5.0)
    assert found["row"].to_list() == [60]


def test_a_class_of_few_photos_has_no_outliers() -> None:
    assert outliers(pl.Series(["owl"] * 10), np.arange(10), cloud(10), 0.1).is_empty()
