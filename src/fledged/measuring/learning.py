"""What more photos would bring: accuracy with parts of the training photos, and the law of falling errors.

Heads are fitted on frozen features of train and val; photos of one group are never on two sides, and test is not read.
Errors fall about as an inverse power of the number of photos, down to a floor: C. Cortes et al., "Learning curves:
asymptotic values and rate of convergence", NIPS 1993; J. Hestness et al., "Deep learning scaling is predictable,
empirically", 2017.

Shapes: N photos, F features, S seeds, P parts (shares of the groups), B resamples.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import threadpoolctl
from sklearn.linear_model import LogisticRegression

from fledged.engine import n_workers
from fledged.measured import LearningCurve, LearningPoint
from fledged.measuring.metrics import FloatArray, IntArray
from fledged.measuring.resampling import Groups, accuracy, by_group, interval, totals
from fledged.measuring.subject import Float32Array

SHARES = (0.1, 0.2, 0.4, 0.8, 1.0)
N_FOLDS = 5
_FEW_PHOTOS = 10_000  # of so many or fewer it matters which ones a part holds: two seeds draw them
FEWEST_GROUPS = 40  # so that a tenth of them is something to learn from
_INVERSE_PENALTY = 0.01  # as strong as the decay of the head that is trained
_TOLERANCE = 1e-3
# Exponents of the law that are tried; real curves lie about 0.5.
_EXPONENTS = np.geomspace(0.1, 2, 40)
_DRAWN = 24  # points of the fitted law


def learning_curve(features_NF: Float32Array, labels_N: IntArray, groups: Groups) -> LearningCurve | None:
    """The curve of a linear head on these features; None where there are too few groups to part them."""
    if groups.n < FEWEST_GROUPS or len(np.unique(labels_N)) < 2:
        return None
    n = len(labels_N)
    n_seeds = 2 if n <= _FEW_PHOTOS else 1
    wrong_SPN, photos_P = _judged(features_NF, labels_N, groups, n_seeds)
    flat_N = np.tile(np.arange(n), n_seeds * len(SHARES))
    columns = np.repeat(np.arange(n_seeds * len(SHARES)), n)
    sums_GK = by_group(Groups(groups.of_N[flat_N], groups.n), columns, wrong_SPN.reshape(-1), columns[-1] + 1)
    sizes_B = totals(groups, by_group(groups, np.zeros(n, np.int64), np.ones(n), 1))
    errors_BSP = (totals(groups, sums_GK) / sizes_B).reshape(len(sizes_B), n_seeds, len(SHARES))
    # Which photos a part holds is chance as well: the seeds are drawn anew like the groups.
    drawn_BS = np.random.default_rng(0).multinomial(n_seeds, [1 / n_seeds] * n_seeds, len(sizes_B)) / n_seeds
    errors_BP = np.einsum("bs,bsp->bp", drawn_BS, errors_BSP)
    error_P = wrong_SPN.mean(axis=(0, 2))
    law = fitted(photos_P, error_P[None])
    laws_B = fitted(photos_P, errors_BP)
    now, twice = photos_P[-1:], 2 * photos_P[-1:]
    gain = float(errors_of(law, now)[0, 0] - errors_of(law, twice)[0, 0])
    gains_B = (errors_of(laws_B, now) - errors_of(laws_B, twice))[:, 0]
    points = [
        LearningPoint(
            share=share,
            n_photos=round(float(photos_P[i])),
            accuracy=accuracy(round(n * float(1 - error_P[i])), n, 1 - errors_BP[:, i], groups).model_copy(
                update={"value": float(1 - error_P[i])}
            ),
        )
        for i, share in enumerate(SHARES)
    ]
    across = np.geomspace(float(photos_P[0]), float(twice[0]), _DRAWN)
    floor, scale, exponent = law[0].tolist()
    return LearningCurve(
        points=tuple(points),
        n_folds=N_FOLDS,
        n_seeds=n_seeds,
        floor=floor,
        scale=scale,
        exponent=exponent,
        fitted=tuple((round(x), float(1 - y)) for x, y in zip(across, errors_of(law, across)[0], strict=True)),
        gain=interval(gain, gains_B, n, groups.n, (0.0, 1.0)),
    )


def fitted(photos_P: FloatArray, errors_BP: FloatArray) -> FloatArray:
    """(floor, scale, exponent) of the law with the least squares for each row of errors (B, 3); none is negative.

    For each exponent the best floor and scale are a line's; the exponent is the best of a grid.
    """
    best_B3 = np.zeros((len(errors_BP), 3))
    least_B = np.full(len(errors_BP), np.inf)
    for exponent in _EXPONENTS:
        x_P = photos_P**-exponent
        x_mean, y_mean_B = x_P.mean(), errors_BP.mean(axis=1)
        spread = np.square(x_P - x_mean).sum()
        scale_B = np.maximum((errors_BP - y_mean_B[:, None]) @ (x_P - x_mean) / spread, 0)
        floor_B = y_mean_B - scale_B * x_mean
        through_zero_B = errors_BP @ x_P / np.square(x_P).sum()
        scale_B = np.where(floor_B < 0, through_zero_B, scale_B)
        floor_B = np.maximum(floor_B, 0)
        off_B = np.square(errors_BP - floor_B[:, None] - scale_B[:, None] * x_P).sum(axis=1)
        better_B = off_B < least_B
        least_B = np.where(better_B, off_B, least_B)
        found_B3 = np.stack([floor_B, scale_B, np.full(len(errors_BP), exponent)], axis=1)
        best_B3 = np.where(better_B[:, None], found_B3, best_B3)
    return best_B3


def errors_of(laws_B3: FloatArray, photos: FloatArray) -> FloatArray:
    """The errors (B, len(photos)) that the laws say."""
    floor, scale, exponent = (laws_B3[:, i : i + 1] for i in range(3))
    errors: FloatArray = floor + scale * photos[None] ** -exponent
    return errors


def _judged(
    features_NF: Float32Array, labels_N: IntArray, groups: Groups, n_seeds: int
) -> tuple[FloatArray, FloatArray]:
    """Which photos were named wrongly, (S, P, N) of 0 and 1, and how many photos each part had on average (P,)."""
    wrong_SPN = np.zeros((n_seeds, len(SHARES), len(labels_N)))
    photos_SFP = np.zeros((n_seeds, N_FOLDS, len(SHARES)))
    folds_SN = [_folds(labels_N, groups, seed) for seed in range(n_seeds)]

    def judged(seed: int, fold: int) -> None:
        learn, judge = np.flatnonzero(folds_SN[seed] != fold), np.flatnonzero(folds_SN[seed] == fold)
        order = np.random.default_rng([seed, fold]).permutation(np.unique(groups.of_N[learn]))
        head: _Head | None = None
        for part, share in enumerate(SHARES):
            some = learn[np.isin(groups.of_N[learn], order[: max(1, round(share * len(order)))])]
            head = _fitted_head(features_NF[some], labels_N[some], head)
            wrong_SPN[seed, part, judge] = _named(features_NF[judge], head) != labels_N[judge]
            photos_SFP[seed, fold, part] = len(some)

    # One thread for each fold: those that algebra starts for itself cost many times what they bring here.
    with threadpoolctl.threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_workers(0)) as pool:
        list(pool.map(judged, *zip(*itertools.product(range(n_seeds), range(N_FOLDS)), strict=True)))
    return wrong_SPN, photos_SFP.mean(axis=(0, 1))


def _folds(labels_N: IntArray, groups: Groups, seed: int) -> IntArray:
    """The fold of each photo (N,): the groups of each class, in random order, are dealt out one by one.

    scikit-learn's StratifiedGroupKFold balances groups of very unequal size better, and takes longer than all heads.
    """
    n_classes = int(labels_N.max()) + 1
    counts_GC = np.bincount(groups.of_N * n_classes + labels_N, minlength=groups.n * n_classes)
    main_G = counts_GC.reshape(groups.n, n_classes).argmax(axis=1)
    order = np.lexsort((np.random.default_rng(seed).random(groups.n), main_G))
    fold_G = np.empty(groups.n, dtype=np.int64)
    fold_G[order] = np.arange(groups.n) % N_FOLDS
    return fold_G[groups.of_N]


@dataclass(frozen=True, slots=True)
class _Head:
    """A linear head on standardised features; without `linear` it has seen one class alone, and names that."""

    classes: IntArray
    centre_F: Float32Array
    scale_F: Float32Array
    linear: LogisticRegression | None


def _fitted_head(features_NF: Float32Array, labels_N: IntArray, smaller: _Head | None) -> _Head:
    """A head for these photos, begun where that of a part of them ended: a third of the time for the same tolerance."""
    classes = np.unique(labels_N)
    centre_F, spread_F = features_NF.mean(axis=0), features_NF.std(axis=0)
    scale_F = np.divide(1, spread_F, out=np.zeros_like(spread_F), where=spread_F > 1e-6)
    if len(classes) < 2:
        return _Head(classes, centre_F, scale_F, None)
    linear = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000, tol=_TOLERANCE, warm_start=True)
    if smaller is not None and smaller.linear is not None and np.array_equal(smaller.classes, classes):
        # The same planes, told for features that are standardised by more photos.
        rate_F = np.divide(smaller.scale_F, scale_F, out=np.zeros_like(scale_F), where=scale_F > 0)
        moved_F = (centre_F - smaller.centre_F) * smaller.scale_F
        linear.coef_ = smaller.linear.coef_ * rate_F
        linear.intercept_ = smaller.linear.intercept_ + smaller.linear.coef_ @ moved_F
    linear.fit((features_NF - centre_F) * scale_F, labels_N)
    return _Head(classes, centre_F, scale_F, linear)


def _named(features_NF: Float32Array, head: _Head) -> IntArray:
    """The labels that a head gives to photos."""
    if head.linear is None:
        return np.full(len(features_NF), head.classes[0])
    named: IntArray = head.linear.predict((features_NF - head.centre_F) * head.scale_F)
    return named
