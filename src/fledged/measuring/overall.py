"""Figures over all classes and of each class, with intervals by group.

Shapes: N photos, C classes, B resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fledged.measured import ClassFigures, Figure, Overall, TopK
from fledged.measuring import metrics, ranking
from fledged.measuring.metrics import FloatArray, IntArray
from fledged.measuring.ranking import Ranked
from fledged.measuring.resampling import Groups, accuracy, by_group, interval, share, totals
from fledged.measuring.subject import Float32Array

_TOP = (2, 3, 5)
_SHARE = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Measured:
    """What `measure` finds."""

    accuracy: Figure
    overall: Overall
    by_class: tuple[ClassFigures, ...]


@dataclass(frozen=True, slots=True)
class _Resampled:
    """Figures of each resample."""

    accuracy: FloatArray  # (B,)
    balanced_accuracy: FloatArray
    macro_f1: FloatArray
    weighted_f1: FloatArray
    log_loss: FloatArray
    brier: FloatArray
    top_k: FloatArray  # (B, len(_TOP))
    f1_BC: FloatArray


def measure(
    true: IntArray, predicted: IntArray, probabilities_NC: Float32Array, classes: tuple[str, ...], groups: Groups
) -> Measured:
    """The figures of at least one photo."""
    n, n_classes = len(true), len(classes)
    counts_CC = metrics.confusion(true, predicted, n_classes)
    losses, briers = metrics.losses(true, probabilities_NC), metrics.brier_scores(true, probabilities_NC)
    ranks = metrics.ranks(true, probabilities_NC)
    again = _resampled(true, predicted, np.stack([losses, briers]), ranks, groups, n_classes)
    ranked = ranking.ranked(true, probabilities_NC, groups)

    def figure(value: float, resampled_B: FloatArray, bounds: tuple[float, float] = _SHARE) -> Figure:
        return interval(value, resampled_B, n, groups.n, bounds)

    shares_C = np.bincount(true, minlength=n_classes) / n
    overall = Overall(
        n_groups=groups.n,
        n_resamples=groups.n_resamples,
        balanced_accuracy=figure(metrics.balanced_accuracy(counts_CC), again.balanced_accuracy),
        macro_f1=figure(metrics.macro_f1(counts_CC), again.macro_f1),
        weighted_f1=figure(metrics.weighted_f1(counts_CC), again.weighted_f1),
        log_loss=figure(float(losses.mean()), again.log_loss, (0.0, metrics.WORST_LOSS)),
        brier=figure(float(briers.mean()), again.brier, (0.0, 2.0)),
        brier_guess=float(1 - np.square(shares_C).sum()),
        top_k=tuple(
            TopK(k=k, accuracy=accuracy(int((ranks < k).sum()), n, again.top_k[:, i], groups))
            for i, k in enumerate(_TOP)
            if k < n_classes
        ),
        macro_auc=ranked.macro_auc,
        macro_average_precision=ranked.macro_average_precision,
    )
    n_right = int(np.trace(counts_CC))
    by_class = _by_class(metrics.by_class(counts_CC, classes), again.f1_BC, true, ranked, groups)
    return Measured(accuracy(n_right, n, again.accuracy, groups), overall, by_class)


def _by_class(
    alone: tuple[ClassFigures, ...], f1_BC: FloatArray, true: IntArray, ranked: Ranked, groups: Groups
) -> tuple[ClassFigures, ...]:
    """With intervals of F1, and the areas under the curves."""
    result = []
    for i, entry in enumerate(alone):
        n_groups = len(np.unique(groups.of_N[true == i]))
        f1 = interval(entry.f1, f1_BC[:, i], entry.support, n_groups, _SHARE) if entry.support else None
        areas = {"f1_interval": f1, "auc": ranked.auc[i], "average_precision": ranked.average_precision[i]}
        result.append(entry.model_copy(update=areas))
    return tuple(result)


def _resampled(
    true: IntArray, predicted: IntArray, losses_2N: FloatArray, ranks: IntArray, groups: Groups, n_classes: int
) -> _Resampled:
    """All figures follow from sums over photos: those of each class, of losses, and of hits among the first k."""
    n, ones = len(true), np.ones(len(true))
    right = true == predicted
    columns = [true, n_classes + predicted, 2 * n_classes + true]
    values = [ones, ones, right.astype(np.float64)]
    extra = [*losses_2N, *((ranks < k).astype(np.float64) for k in _TOP)]
    columns += [np.full(n, 3 * n_classes + i, dtype=np.int64) for i in range(len(extra))]
    everywhere = Groups(np.tile(groups.of_N, len(columns)), groups.n)
    sums_GK = by_group(
        everywhere, np.concatenate(columns), np.concatenate([*values, *extra]), 3 * n_classes + len(extra)
    )
    totals_BK = totals(groups, sums_GK)
    support, answered, hits = (totals_BK[:, i * n_classes : (i + 1) * n_classes] for i in range(3))
    photos_B = support.sum(axis=1)
    rest = totals_BK[:, 3 * n_classes :] / photos_B[:, None]
    f1_BC = share(2 * hits, support + answered)
    # A class that is in no photo of a resample has no say in it.
    return _Resampled(
        accuracy=hits.sum(axis=1) / photos_B,
        balanced_accuracy=_mean_of_known(share(hits, support)),
        macro_f1=_mean_of_known(f1_BC),
        weighted_f1=np.nansum(f1_BC * support, axis=1) / photos_B,
        log_loss=rest[:, 0],
        brier=rest[:, 1],
        top_k=rest[:, 2:],
        f1_BC=f1_BC,
    )


def _mean_of_known(values_BC: FloatArray) -> FloatArray:
    known = np.isfinite(values_BC)
    mean: FloatArray = np.where(known, values_BC, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean
