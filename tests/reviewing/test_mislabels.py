"""Wrong labels are found by fits that have not seen the photo, nor any of its group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from fledged.progress import silent
from fledged.reviewing.mislabels import likely_mislabels, out_of_sample

CLASSES = ("ant", "bee", "wasp")


def clouds(n: int, noise: float, seed: int = 0) -> tuple[pl.Series, pl.Series, npt.NDArray[np.float32]]:
    """True labels, given labels and features (n, 12) of three classes."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 3, n)
    features = random.normal(size=(n, 12)) + 4 * np.eye(3, 12)[true]
    wrong = random.random(n) < noise
    given = np.where(wrong, (true + random.integers(1, 3, n)) % 3, true)
    names = np.array(CLASSES)
    return pl.Series(names[true]), pl.Series(names[given]), features.astype(np.float32)


def test_planted_wrong_labels_come_first_with_the_right_suggestion() -> None:
    true, given, features = clouds(600, 0.15)
    wrong = set(np.flatnonzero((true != given).to_numpy()).tolist())
    found = likely_mislabels(given, np.arange(600), features, 0.5, silent)
    first = found.head(len(wrong))
    hits = [row for row in first["row"] if row in wrong]
    assert len(hits) / len(wrong) > 0.85
    right = [true[row] == label for row, label in found.select("row", "suggested_label").rows() if row in wrong]
    assert np.mean(right) > 0.9
    assert found["score"].is_sorted(descending=True)
    assert found.filter("sure").height > 0.5 * len(wrong)


def test_clean_labels_give_few_findings() -> None:
    _, given, features = clouds(600, 0.0)
    assert likely_mislabels(given, np.arange(600), features, 0.5, silent).height < 0.06 * 600


def test_a_group_is_judged_by_fits_that_have_not_seen_it() -> None:
    """Each photo has a twin in its group with the same wrong label: a fit that saw the twin would believe it."""
    true, given, features = clouds(300, 0.1)
    doubled, labels = np.repeat(features, 2, axis=0), pl.Series(np.repeat(given.to_numpy(), 2))
    wrong = np.repeat((true != given).to_numpy(), 2)
    # A direction of its own for each group, by which a twin can be recognised.
    own = np.repeat(np.eye(300, dtype=np.float32) * 30, 2, axis=0)
    features_NF = np.concatenate([doubled, own], axis=1)
    grouped = likely_mislabels(labels, np.repeat(np.arange(300), 2), features_NF, 0.5, silent)
    leaky = likely_mislabels(labels, np.arange(600), features_NF, 0.5, silent)
    found = [wrong[np.array(table["row"].to_list(), int)].sum() / wrong.sum() for table in (grouped, leaky)]
    assert found[0] > 0.8
    assert found[1] < 0.5


def test_probabilities_are_probabilities() -> None:
    _, given, features = clouds(120, 0.1)
    indices = np.array([CLASSES.index(label) for label in given])
    probabilities = out_of_sample(indices, np.arange(120), features, silent)
    assert probabilities.shape == (120, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("labels", [["ant"] * 6, ["ant"] * 5 + ["bee"], ["ant", "bee"] * 1])
def test_a_lake_with_too_little_to_compare_gives_nothing(labels: list[str]) -> None:
    features = np.zeros((len(labels), 4), np.float32)
    assert likely_mislabels(pl.Series(labels), np.arange(len(labels)), features, 0.5, silent).is_empty()
