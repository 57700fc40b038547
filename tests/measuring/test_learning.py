"""The learning curve: laws that are known are found again, and more photos of a learnable kind do help."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from fledged.measuring import learning
from fledged.measuring.resampling import groups_of

PHOTOS = np.array([100.0, 200.0, 400.0, 800.0, 1000.0])


@given(st.floats(0, 0.2), st.floats(0.1, 3), st.sampled_from(learning._EXPONENTS.tolist()))
def test_a_law_without_noise_is_found_again(floor: float, scale: float, exponent: float) -> None:
    errors = floor + scale * PHOTOS**-exponent
    law = learning.fitted(PHOTOS, errors[None])
    np.testing.assert_allclose(learning.errors_of(law, PHOTOS)[0], errors, atol=1e-6)
    np.testing.assert_allclose(
        learning.errors_of(law, np.array([2000.0]))[0], floor + scale * 2000**-exponent, atol=1e-4
    )


def test_no_law_predicts_less_than_no_errors_or_that_photos_harm() -> None:
    laws = learning.fitted(PHOTOS, np.array([[0.1, 0.11, 0.12, 0.13, 0.14], [0.3, 0.1, 0.02, 0.0, 0.0]]))
    assert (laws >= 0).all()
    for law in laws:
        errors = learning.errors_of(law[None], np.array([1000.0, 2000.0]))[0]
        assert 0 <= errors[1] <= errors[0]


def blobs(n: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(n) % 3
    centres = np.eye(3, 24) * distance
    return (centres[labels] + random.normal(size=(n, 24))).astype(np.float32), labels.astype(np.int64)


def test_more_photos_help_and_the_curve_is_the_same_twice() -> None:
    features, labels = blobs(600, 2.5)
    groups = groups_of([str(n // 2) for n in range(600)])
    curve = learning.learning_curve(features, labels, groups)
    assert curve is not None
    values = [point.accuracy.value for point in curve.points]
    assert values[0] < values[-1]
    assert [point.share for point in curve.points] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert curve.points[-1].n_photos == 480
    assert curve.points[0].n_photos == pytest.approx(48, abs=1)
    assert all(point.accuracy.low <= point.accuracy.value <= point.accuracy.high for point in curve.points)
    assert curve.gain.low <= curve.gain.value <= curve.gain.high
    assert curve.fitted[-1][0] == 960
    assert learning.learning_curve(features, labels, groups) == curve


@pytest.mark.parametrize(("few", "n_seeds"), [(120, 2), (119, 1)])
def test_groups_are_never_on_two_sides(monkeypatch: pytest.MonkeyPatch, few: int, n_seeds: int) -> None:
    monkeypatch.setattr(learning, "_FEW_PHOTOS", few)
    labels = np.arange(120) % 3
    numbers = np.arange(120, dtype=np.float32)[:, None]  # in the place of features: which photo it is
    groups = groups_of([str(n // 3) for n in range(120)])
    learnt: list[int] = []

    def fitted(photos_N1: np.ndarray, labels_N: np.ndarray, smaller: set[int] | None) -> set[int]:
        own = set(groups.of_N[photos_N1[:, 0].astype(int)].tolist())
        assert smaller is None or smaller <= own
        learnt.append(len(labels_N))
        return own

    def named(photos_N1: np.ndarray, own: set[int]) -> np.ndarray:
        photos = photos_N1[:, 0].astype(int)
        assert not own & set(groups.of_N[photos].tolist())
        right: np.ndarray = labels[photos]
        return right

    monkeypatch.setattr(learning, "_fitted_head", fitted)
    monkeypatch.setattr(learning, "_named", named)
    curve = learning.learning_curve(numbers, labels, groups)
    assert curve is not None
    assert curve.n_seeds == n_seeds
    assert len(learnt) == learning.N_FOLDS * n_seeds * len(learning.SHARES)
    assert [point.n_photos for point in curve.points] == [round(96 * share / 3) * 3 for share in learning.SHARES]
    assert curve.gain.value == 0
    assert curve.points[0].accuracy.value == 1
    assert curve.points[0].accuracy.low < 1


def uneven() -> tuple[np.ndarray, np.ndarray]:
    features, labels = blobs(400, 1.5)
    features = features * np.linspace(0.1, 9, 24, dtype=np.float32) + 5
    features[:, 3] = 0  # tells nothing: it has no spread
    features[300:] *= 2  # other means and spreads than the first 300 have
    return features, labels


def test_a_head_begun_by_a_smaller_one_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_TOLERANCE", 1e-6)
    features, labels = uneven()
    smaller = learning._fitted_head(features[:300], labels[:300], None)
    cold, warm = (learning._fitted_head(features, labels, begun_by) for begun_by in (None, smaller))
    said, as_cold = (
        head.linear.predict_proba((features - head.centre_F) * head.scale_F)
        for head in (warm, cold)
        if head.linear is not None
    )
    np.testing.assert_allclose(said, as_cold, atol=1e-3)


def test_a_head_begins_with_the_answers_of_the_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = uneven()
    smaller = learning._fitted_head(features[:300], labels[:300], None)
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, *_: self)
    begun = learning._fitted_head(features, labels, smaller)
    assert begun.linear is not None
    assert smaller.linear is not None
    begun.linear.classes_ = smaller.linear.classes_
    said, before = (
        head.linear.decision_function((features - head.centre_F) * head.scale_F)
        for head in (begun, smaller)
        if head.linear is not None
    )
    np.testing.assert_allclose(said, before, atol=1e-3)


def test_a_head_that_saw_fewer_classes_begins_none() -> None:
    features, labels = blobs(120, 3)
    one, two = (learning._fitted_head(features[labels < n], labels[labels < n], None) for n in (1, 2))
    assert set(learning._named(features, one).tolist()) == {0}
    for smaller in (one, two):
        head = learning._fitted_head(features, labels, smaller)
        assert (learning._named(features, head) == labels).mean() > 0.95


def test_too_few_groups_or_one_class_have_no_curve() -> None:
    features, labels = blobs(120, 3)
    assert learning.learning_curve(features, labels, groups_of([str(n % 39) for n in range(120)])) is None
    assert learning.learning_curve(features, labels * 0, groups_of([str(n) for n in range(120)])) is None


def test_folds_hold_whole_groups_and_every_class() -> None:
    _, labels = blobs(300, 1)
    groups = groups_of([str(n % 3 + 3 * (n // 9)) for n in range(300)])
    folds = learning._folds(labels, groups, 1)
    for group in range(groups.n):
        assert len(set(folds[groups.of_N == group])) == 1
    for fold in range(learning.N_FOLDS):
        assert 0.1 < (folds == fold).mean() < 0.3
        assert set(labels[folds == fold]) == {0, 1, 2}
    assert (learning._folds(labels, groups, 2) != folds).any()
