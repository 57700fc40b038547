"""What a network knows of itself: how sure it may be of its answers, and how far a photo is from all that it has seen.

No torch: evaluation and export read it too. Shapes: N photos, F features, C classes.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
CENTROIDS = "centroids"  # the tensor (C, F) in a run's file of that name
SMALLEST = 1e-12  # length by which features are divided at least

_COOLEST, _HOTTEST = 0.1, 10.0
_STEPS = 60  # of halving; the interval is then below what a float can tell

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def temperature_of(logits_NC: npt.NDArray[np.floating], labels_N: IntArray) -> float:
    """By what logits are divided so that their softmax explains the labels best; 0.1 to 10, and 1 without photos.

    C. Guo et al., On Calibration of Modern Neural Networks, 2017: the least mean negative log likelihood. A label
    counts as (N + 1) / (N + 2) sure, the rest being spread over the other classes, as by J. Platt, Probabilistic
    Outputs for Support Vector Machines, 1999: few photos that are all right would otherwise ask for a temperature of 0.
    """
    n_photos, n_classes = logits_NC.shape
    if not n_photos or n_classes < 2:
        return 1.0
    targets_NC = np.full((n_photos, n_classes), 1 / (n_photos + 2) / (n_classes - 1))
    targets_NC[np.arange(n_photos), labels_N] = (n_photos + 1) / (n_photos + 2)
    logits = logits_NC.astype(np.float64)
    # The loss is convex in 1 / temperature, so its slope rises, and is 0 at one place at most.
    low, high = 1 / _HOTTEST, 1 / _COOLEST
    if slope(low, logits, targets_NC) >= 0:
        return _HOTTEST
    if slope(high, logits, targets_NC) <= 0:
        return _COOLEST
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle, logits, targets_NC) < 0 else (low, middle)
    return 1 / math.sqrt(low * high)


def slope(inverse: float, logits_NC: Float64Array, targets_NC: Float64Array) -> float:
    """Of the mean negative log likelihood by the inverse of the temperature."""
    scaled = inverse * (logits_NC - logits_NC.max(1, keepdims=True))
    shares = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
    return float(((shares - targets_NC) * logits_NC).sum(1).mean())


def at_temperature(probabilities_NC: npt.NDArray[np.floating], factor: float) -> Float64Array:
    """The probabilities, had their logits been divided by `factor` times what they were."""
    logs = np.log(np.clip(probabilities_NC.astype(np.float64), np.finfo(np.float32).tiny, 1.0)) / factor
    shares = np.exp(logs - logs.max(1, keepdims=True))
    result: Float64Array = shares / shares.sum(1, keepdims=True)
    return result


def centroids_of(features_NF: Float32Array, labels_N: IntArray, n_classes: int) -> Float32Array:
    """The direction (C, F), of length 1, in which the photos of each class lie; zeros for a class without photos."""
    units_NF = _unit(features_NF.astype(np.float64))
    sums_CF = np.zeros((n_classes, features_NF.shape[1]))
    np.add.at(sums_CF, labels_N, units_NF)
    return _unit(sums_CF).astype(np.float32)


def unknown_scores(features_NF: Float32Array, centroids_CF: Float32Array) -> Float32Array:
    """Cosine distance (N,), 0..2, to the nearest centroid, as `Knowing` and the served graph compute it.

    Chosen by measurement (`python -m benchmarks unknown`).
    """
    nearness_NC = _unit(features_NF.astype(np.float64)) @ centroids_CF.T.astype(np.float64)
    return (1 - nearness_NC.max(1)).astype(np.float32)


def threshold_of(scores_N: Float32Array, share_kept: float) -> float:
    """The score up to which a photo is accepted, set on known photos so that at least this share of them is.

    Of N scores the one in the place ⌈share (N + 1)⌉: then a further known photo is accepted with at least this
    probability as well, where N is large enough for there to be such a place; else the highest. (V. Vovk et al.,
    Algorithmic Learning in a Random World, 2005: conformal prediction.) Raises ValueError for no scores.
    """
    if not len(scores_N):
        raise ValueError("a threshold needs scores")
    place = min(len(scores_N), math.ceil(share_kept * (len(scores_N) + 1) - 1e-9))
    return float(np.sort(scores_N)[place - 1])


def _unit(vectors: Float64Array) -> Float64Array:
    unit: Float64Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SMALLEST)
    return unit
