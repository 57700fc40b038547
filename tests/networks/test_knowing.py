"""Temperatures, regions and thresholds are what their sources say they are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.covariance import ledoit_wolf

from fledged.networks.inference import _scores
from fledged.networks.knowing import (
    Regions,
    at_temperature,
    open_regions,
    regions_of,
    slope,
    temperature_of,
    threshold_of,
)

SEEDS = st.integers(0, 2**32 - 1)


def logits_and_labels(
    seed: int, n: int, n_classes: int, strength: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels_N = random.integers(n_classes, size=n)
    logits_NC = random.normal(size=(n, n_classes)) * strength
    logits_NC[np.arange(n), labels_N] += strength
    return logits_NC, labels_N


def smoothed(labels_N: npt.NDArray[np.int64], n_classes: int) -> npt.NDArray[np.float64]:
    n = len(labels_N)
    targets_NC = np.full((n, n_classes), 1 / (n + 2) / (n_classes - 1))
    targets_NC[np.arange(n), labels_N] = (n + 1) / (n + 2)
    return targets_NC


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 80), st.integers(2, 6), st.floats(0.3, 12))
def test_the_temperature_is_where_the_loss_is_least(seed: int, n: int, n_classes: int, strength: float) -> None:
    logits_NC, labels_N = logits_and_labels(seed, n, n_classes, strength)
    targets_NC = smoothed(labels_N, n_classes)

    def loss(log_temperature: float) -> float:
        return float(-(targets_NC * log_softmax(logits_NC / math.exp(log_temperature), axis=1)).sum(1).mean())

    found = temperature_of(logits_NC, labels_N)
    best = minimize_scalar(loss, bounds=(math.log(0.1), math.log(10)), method="bounded", options={"xatol": 1e-9})
    assert 0.1 <= found <= 10
    assert loss(math.log(found)) <= best.fun + 1e-9
    if 0.1001 < found < 9.999:
        assert slope(1 / found, logits_NC, targets_NC) == pytest.approx(0, abs=1e-9 * max(1.0, strength))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(2, 6), st.floats(0.1, 10))
def test_a_temperature_changes_no_label_and_can_be_taken_back(seed: int, n: int, n_classes: int, t: float) -> None:
    logits_NC, _ = logits_and_labels(seed, n, n_classes, 2.0)
    warm_NC = softmax(logits_NC / t, axis=1)
    np.testing.assert_array_equal(warm_NC.argmax(1), logits_NC.argmax(1))
    if warm_NC.min() > 1e-30:
        np.testing.assert_allclose(at_temperature(warm_NC, 1 / t), softmax(logits_NC, axis=1), atol=1e-9)


@pytest.mark.parametrize("n", [1, 3, 60, 1000])
def test_photos_that_are_all_right_ask_for_no_certainty(n: int) -> None:
    logits_NC, labels_N = np.tile([2.0, 0.0], (n, 1)), np.zeros(n, dtype=np.int64)
    confidence = softmax(logits_NC / temperature_of(logits_NC, labels_N), axis=1)[0, 0]
    assert confidence == pytest.approx((n + 1) / (n + 2), abs=1e-6)


def test_the_temperature_is_1_where_nothing_can_be_said_and_has_bounds() -> None:
    nothing, one_class = np.zeros((0, 3)), np.zeros((5, 1))
    assert temperature_of(nothing, np.zeros(0, dtype=np.int64)) == 1
    assert temperature_of(one_class, np.zeros(5, dtype=np.int64)) == 1
    always_wrong = np.tile([9.0, 0.0], (50, 1))
    assert temperature_of(always_wrong, np.ones(50, dtype=np.int64)) == 10
    timid = np.tile([0.01, 0.0], (5000, 1))
    assert temperature_of(timid, np.zeros(5000, dtype=np.int64)) == 0.1


def blobs(
    seed: int, n: int, n_features: int, n_classes: int = 3
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels_N = np.arange(n) % n_classes
    centres_CF = random.random((n_classes, n_features)) * 3
    spread_F = random.random(n_features) + 0.1
    features_NF = centres_CF[labels_N] + random.normal(size=(n, n_features)) * spread_F
    return features_NF.astype(np.float32), labels_N.astype(np.int64)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(30, 120), st.integers(3, 30))
def test_with_all_directions_the_score_is_the_mahalanobis_distance(seed: int, n: int, n_features: int) -> None:
    features_NF, labels_N = blobs(seed, n, n_features)
    units_NF = features_NF / np.linalg.norm(features_NF, axis=1, keepdims=True)
    means_CF = np.stack([units_NF[labels_N == c].mean(0) for c in range(3)])
    covariance_FF, _ = ledoit_wolf(units_NF - means_CF[labels_N], assume_centered=True)
    off_NCF = units_NF[:, None] - means_CF
    exact_N = np.sqrt(np.einsum("ncf,fg,ncg->nc", off_NCF, np.linalg.inv(covariance_FF), off_NCF).min(1))
    ratios_N = regions_of(features_NF, labels_N).scores(features_NF) / exact_N
    np.testing.assert_allclose(ratios_N, ratios_N.mean(), rtol=2e-3)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(12, 200), st.integers(40, 90))
def test_training_photos_are_1_from_their_own_class(seed: int, n: int, n_features: int) -> None:
    features_NF, labels_N = blobs(seed, n, n_features)
    scores = [
        Regions(of.means_CF[label : label + 1], of.directions_KF, of.scale).scores(features_NF[labels_N == label])
        for of in [regions_of(features_NF, labels_N)]
        for label in range(3)
    ]
    assert np.sqrt(np.square(np.concatenate(scores)).mean()) == pytest.approx(1, abs=0.01)


def test_what_is_elsewhere_is_farther() -> None:
    features_NF, labels_N = blobs(1, 150, 64)
    elsewhere_NF = np.random.default_rng(2).random((50, 64)).astype(np.float32) * 3
    regions = regions_of(features_NF, labels_N)
    assert regions.scores(elsewhere_NF).min() > regions.scores(features_NF).max()


@pytest.mark.parametrize("per_class", [1, 2])
def test_few_photos_and_photos_that_are_all_the_same_have_a_score(per_class: int) -> None:
    features_NF = np.repeat(np.eye(3, 8, dtype=np.float32), per_class, axis=0)
    labels_N = np.repeat(np.arange(3), per_class)
    scores = regions_of(features_NF, labels_N).scores(np.vstack([features_NF, np.zeros((1, 8), np.float32)]))
    assert np.isfinite(scores).all()
    assert scores[:-1].max() < scores[-1]


def test_regions_are_kept_as_they_are_whatever_their_memory_looks_like(tmp_path: Path) -> None:
    features_NF, labels_N = blobs(3, 90, 50)
    regions = regions_of(features_NF, labels_N)
    turned = Regions(np.asfortranarray(regions.means_CF), np.asfortranarray(regions.directions_KF), regions.scale)
    (tmp_path / "regions").write_bytes(turned.saved())
    again = open_regions(tmp_path / "regions")
    np.testing.assert_array_equal(again.means_CF, regions.means_CF)
    np.testing.assert_array_equal(again.directions_KF, regions.directions_KF)
    assert again.scale == pytest.approx(regions.scale, rel=1e-6)


@pytest.mark.parametrize("spread", [1e-6, 0.004, 0.03, 0.3, 1.0])
def test_torch_gives_the_same_scores_however_little_features_differ(spread: float) -> None:
    """As those of a network that has hardly learned, and of one that has."""
    features_NF, labels_N = blobs(5, 120, 1280)
    alike_NF = (features_NF.mean(0) + spread * (features_NF - features_NF.mean(0))).astype(np.float32)
    regions = regions_of(alike_NF, labels_N)
    served_N = _scores(torch.from_numpy(alike_NF), regions).numpy()
    np.testing.assert_allclose(served_N, regions.scores(alike_NF), atol=1e-3)
    assert (regions.scale == 1) == (spread < 0.1)


def test_torch_gives_the_same_scores() -> None:
    features_NF, labels_N = blobs(4, 120, 70)
    regions = regions_of(features_NF, labels_N)
    np.testing.assert_allclose(
        _scores(torch.from_numpy(features_NF), regions).numpy(), regions.scores(features_NF), atol=1e-4
    )


@given(st.lists(st.floats(0, 5, width=32), min_size=1, max_size=300), st.floats(0.01, 0.99))
def test_the_threshold_keeps_the_stated_share(scores: list[float], share: float) -> None:
    scores_N = np.array(scores, dtype=np.float32)
    threshold = threshold_of(scores_N, share)
    assert (scores_N <= threshold).mean() >= share - 1e-9
    assert threshold in scores_N  # and no more than it must, but for one place:
    place = math.ceil(share * (len(scores) + 1) - 1e-9)
    if place <= len(scores):
        assert (scores_N < threshold).sum() < place


def test_a_further_photo_is_accepted_as_often_as_promised() -> None:
    random = np.random.default_rng(5)
    kept = [random.random() <= threshold_of(random.random(40).astype(np.float32), 0.9) for _ in range(4000)]
    assert np.mean(kept) == pytest.approx(37 / 41, abs=0.02)  # ⌈0.9 · 41⌉ of 41 places


def test_without_scores_there_is_no_threshold() -> None:
    with pytest.raises(ValueError, match="needs scores"):
        threshold_of(np.zeros(0, np.float32), 0.95)
