"""What a network knows of itself: how sure it may be of its answers, and how far a photo is from all that it has seen.

No torch: evaluation and export read it too. Shapes: N photos, F features, C classes, K directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from fledged.networks.tensors import tensors_of

SMALLEST = 1e-12  # length by which features are divided at least

# Mean squared distance of photos from their class's mean, of features of length 1. Served in float32, where such
# distances are off by up to 1e-6, scores are off by a thousandth and more below it. What has learned has far more.
_LEAST_SPREAD = 1e-3

_COOLEST, _HOTTEST = 0.1, 10.0
_STEPS = 60  # of halving; the interval is then below what a float can tell
_DIRECTIONS = 32

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


@dataclass(frozen=True, slots=True)
class Regions:
    """Where the classes lie among features of length 1, and how far their photos spread: what a score is made of.

    The squared score is scale |d|² - |directions d|², least over the classes, where d is the way from a class's mean.
    """

    means_CF: Float32Array  # of the classes that have photos
    directions_KF: Float32Array  # in which photos of a class differ most, so long that they take off what is usual
    scale: float

    def scores(self, features_NF: Float32Array) -> Float32Array:
        """Unknown scores (N,), as networks.inference.Knowing and the served graph compute them."""
        units_NF = _unit(features_NF.astype(np.float64))
        means_CF, directions_FK = self.means_CF.astype(np.float64), self.directions_KF.T.astype(np.float64)
        lengths_NC = 1 - 2 * units_NF @ means_CF.T + (means_CF**2).sum(1)
        along_NCK = (units_NF @ directions_FK)[:, None] - means_CF @ directions_FK
        nearest_N = (self.scale * lengths_NC - (along_NCK**2).sum(2)).min(1)
        scores_N: Float32Array = np.sqrt(np.maximum(nearest_N, 0)).astype(np.float32)
        return scores_N

    def saved(self) -> bytes:
        """As a safetensors file."""
        tensors = {"means": self.means_CF, "directions": self.directions_KF, "scale": np.array(self.scale, np.float32)}
        # It writes the memory of an array as it lies, whatever its strides say.
        return safetensors.numpy.save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})


def open_regions(path: Path) -> Regions:
    """From the file."""
    tensors = tensors_of(safetensors.numpy.load_file, path)
    return Regions(tensors["means"], tensors["directions"], tensors["scale"].item())


def regions_of(features_NF: Float32Array, labels_N: IntArray) -> Regions:
    """The regions of training photos.

    The score is the Mahalanobis distance to the nearest class mean, with one covariance for all classes, shrunk (O.
    Ledoit and M. Wolf, 2004): K. Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and
    Adversarial Attacks, 2018; of features of length 1: M. Mueller and M. Hein, Mahalanobis++, 2025. Of the covariance
    the 32 directions of the most variance are kept, and all others are taken to vary alike, so that it is small. The
    unit is such that 1 is the root mean square of the training photos from their own class. Chosen by measurement:
    `python -m benchmarks unknown`.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage
    from sklearn.utils.extmath import randomized_svd

    units_NF = _unit(features_NF.astype(np.float64))
    classes, index_N = np.unique(labels_N, return_inverse=True)
    means_CF = np.stack([units_NF[index_N == index].mean(0) for index in range(len(classes))])
    within_NF = (units_NF - means_CF[index_N]).astype(np.float32)  # half the time, and no other answer
    n_photos, n_features = within_NF.shape
    variance = float((within_NF**2).mean(dtype=np.float64))  # of a feature, on average
    n_kept = min(_DIRECTIONS, n_photos - 1, n_features - 1)
    # As many photos as classes, or a network that has hardly learned: there is no spread to measure by.
    if n_features * variance < _LEAST_SPREAD or n_kept < 1:
        return Regions(means_CF.astype(np.float32), np.zeros((1, n_features), np.float32), 1.0)
    _, lengths_K, directions_KF = randomized_svd(within_NF, n_kept, random_state=0)
    shrinkage = ledoit_wolf_shrinkage(within_NF, assume_centered=True)
    found_K = lengths_K**2 / n_photos
    kept_K = (1 - shrinkage) * found_K + shrinkage * variance
    rest = (1 - shrinkage) * (n_features * variance - found_K.sum()) / (n_features - n_kept) + shrinkage * variance
    rest = max(rest, 1e-6 * variance)  # where the kept directions are all that there is
    less_K = np.maximum(1 / rest - 1 / kept_K, 0)
    usual = n_features * variance / rest - float((found_K * less_K).sum())  # the mean squared distance
    directions_KF = directions_KF * np.sqrt(less_K / usual)[:, None]
    return Regions(means_CF.astype(np.float32), directions_KF.astype(np.float32), float(1 / (rest * usual)))


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
