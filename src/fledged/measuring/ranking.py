"""One class against all others, whatever the threshold: ROC and precision-recall curves, and the areas under them.

Shapes: N photos, C classes, B resamples. Photos with the same score stand or fall together: a threshold can lie between
them nowhere. Definitions are those of scikit-learn: the area under the ROC curve by trapezoids (J. A. Hanley and B. J.
McNeil, Radiology 143, 1982, 29-36), average precision as a sum of steps, which does not interpolate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fledged.measured import Curves, Figure
from fledged.measuring.metrics import FloatArray, IntArray
from fledged.measuring.resampling import Groups, interval, share, weights
from fledged.measuring.subject import Float32Array

BoolArray = npt.NDArray[np.bool_]

# Resamples times classes: more classes are content with fewer resamples, within these limits.
_EFFORT = 10_000
_FEWEST, _MOST = 100, 400
_IN_CACHE = 100_000  # numbers at once: twice as fast as what does not fit a core's cache
_MOST_POINTS = 200
MOST_CURVES = 20


@dataclass(frozen=True, slots=True)
class Ranked:
    """The areas under the curves of each class, None for a class that has no photo or all of them; and their means."""

    auc: tuple[Figure | None, ...]
    average_precision: tuple[Figure | None, ...]
    macro_auc: Figure | None
    macro_average_precision: Figure | None


@dataclass(frozen=True, slots=True)
class _Order:
    """Photos by their score, the highest first, and the last one of each run of equal scores."""

    photos_N: IntArray
    ends_T: IntArray
    is_of_class_N: BoolArray  # in that order


def ranked(true: IntArray, probabilities_NC: Float32Array, groups: Groups) -> Ranked:
    """The areas with intervals by group; a class that is in no photo of a resample has no say in it."""
    n, n_classes = probabilities_NC.shape
    orders = {
        i: order_of(true == i, probabilities_NC[:, i]) for i in range(n_classes) if 0 < int((true == i).sum()) < n
    }
    if not orders:
        nothing = (None,) * n_classes
        return Ranked(nothing, nothing, None, None)
    once_1N = np.ones((1, n))
    values = {i: tuple(float(area[0]) for area in areas(order, once_1N)) for i, order in orders.items()}
    n_resamples = max(_FEWEST, min(_MOST, _EFFORT // n_classes))
    resampled = {i: _resampled(order, groups, n_resamples) for i, order in orders.items()}

    def figure(of: int, which: int) -> Figure | None:
        if of not in values:
            return None
        return interval(float(values[of][which]), resampled[of][which], int((true == of).sum()), groups.n, (0.0, 1.0))

    def mean(which: int) -> Figure | None:
        value = float(np.mean([pair[which] for pair in values.values()]))
        again_CB = np.stack([pair[which] for pair in resampled.values()])
        known_CB = np.isfinite(again_CB)
        means_B = share(np.where(known_CB, again_CB, 0).sum(axis=0), known_CB.sum(axis=0).astype(np.float64))
        return interval(value, means_B, n, groups.n, (0.0, 1.0))

    classes = range(n_classes)
    return Ranked(tuple(figure(i, 0) for i in classes), tuple(figure(i, 1) for i in classes), mean(0), mean(1))


def order_of(is_of_class_N: BoolArray, scores_N: npt.NDArray[np.floating]) -> _Order:
    """The order in which a falling threshold lets photos in."""
    photos_N = np.argsort(-scores_N, kind="stable").astype(np.int64)
    falls = np.flatnonzero(np.diff(scores_N[photos_N]))
    return _Order(photos_N, np.append(falls, len(scores_N) - 1).astype(np.int64), is_of_class_N[photos_N])


def areas(order: _Order, weights_BN: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The area under the ROC curve, and average precision, for each weighting of the photos (B,).

    NaN where the photos of the class, or for ROC the others, have no weight.
    """
    hits_BT, rest_BT = _let_in(order, weights_BN)
    new_hits_BT, new_rest_BT = np.diff(hits_BT, axis=1, prepend=0), np.diff(rest_BT, axis=1, prepend=0)
    under_roc_B = ((hits_BT - new_hits_BT / 2) * new_rest_BT).sum(axis=1)
    all_BT = hits_BT + rest_BT
    precision_BT = np.divide(hits_BT, all_BT, out=np.zeros_like(hits_BT), where=all_BT > 0)
    over_hits_B = (precision_BT * new_hits_BT).sum(axis=1)
    return share(under_roc_B, hits_BT[:, -1] * rest_BT[:, -1]), share(over_hits_B, hits_BT[:, -1])


def curves(true: IntArray, probabilities_NC: Float32Array, classes: tuple[str, ...]) -> tuple[Curves, ...]:
    """The points of the curves of the first MOST_CURVES classes that have both kinds of photos."""
    result: list[Curves] = []
    for i, label in enumerate(classes):
        if 0 < int((true == i).sum()) < len(true) and len(result) < MOST_CURVES:
            hits, rest = _let_in(order_of(true == i, probabilities_NC[:, i]), np.ones((1, len(true))))
            found, false = hits[0] / hits[0, -1], rest[0] / rest[0, -1]
            roc = [(0.0, 0.0), *zip(false.tolist(), found.tolist(), strict=True)]
            precision = hits[0] / (hits[0] + rest[0])
            by_recall = [(0.0, float(precision[0])), *zip(found.tolist(), precision.tolist(), strict=True)]
            result.append(Curves(label=label, roc=_thinned(roc), precision_recall=_thinned(by_recall)))
    return tuple(result)


def _let_in(order: _Order, weights_BN: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight of the class's photos and of the others at or above each threshold, each of shape (B, T)."""
    sorted_BN = weights_BN[:, order.photos_N]
    all_BT = np.cumsum(sorted_BN, axis=1)[:, order.ends_T]
    hits_BT = np.cumsum(sorted_BN * order.is_of_class_N, axis=1)[:, order.ends_T]
    return hits_BT, all_BT - hits_BT


def _resampled(order: _Order, groups: Groups, n_resamples: int) -> tuple[FloatArray, FloatArray]:
    """Both areas in each resample."""
    rows = max(1, _IN_CACHE // len(groups.of_N))
    pairs = [
        areas(order, drawn[start : start + rows, groups.of_N])
        for drawn in weights(groups, n_resamples)
        for start in range(0, len(drawn), rows)
    ]
    return np.concatenate([first for first, _ in pairs]), np.concatenate([second for _, second in pairs])


def _thinned(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Corners only, and no more than a picture can show; the first and the last are kept."""
    corners = [
        point
        for i, point in enumerate(points)
        if i in (0, len(points) - 1) or not (_is_level(points, i, 0) or _is_level(points, i, 1))
    ]
    every = -(-len(corners) // _MOST_POINTS)
    kept = corners[:-1:every] + corners[-1:]
    return tuple((round(x, 5), round(y, 5)) for x, y in kept)


def _is_level(points: list[tuple[float, float]], i: int, axis: int) -> bool:
    return points[i - 1][axis] == points[i][axis] == points[i + 1][axis]
