"""Candidates for the score of photos that belong to no class, each fitted on training features alone; higher is odder.

Shapes: N photos, F features, C classes. All but the kNN ones need a few small arrays, whatever the number of photos.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import LogisticRegression

from fledged.networks.knowing import regions_of

Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Score = Callable[[Array], Array]  # features (N, F) -> scores (N,)

_INVERSE_PENALTY = 0.01  # as strong as the decay of the head that is trained
_NEIGHBOURS = 5
_DIRECTIONS = 32


def scores(features_NF: Array, labels_N: IntArray) -> dict[str, Score]:
    """Each candidate by its name."""
    return {
        **_of_a_head(features_NF, labels_N),
        **_of_distances(features_NF, labels_N),
        **_of_covariances(features_NF, labels_N),
    }


def unit(features_NF: Array) -> Array:
    """The features with length 1."""
    lengths = np.linalg.norm(features_NF, axis=1, keepdims=True)
    units: Array = features_NF / np.maximum(lengths, 1e-12)
    return units


def _of_a_head(features_NF: Array, labels_N: IntArray) -> dict[str, Score]:
    """D. Hendrycks and K. Gimpel, 2017 (softmax); W. Liu et al., Energy-based Out-of-distribution Detection, 2020."""
    standardised = _standardised(features_NF)
    head = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500).fit(standardised(features_NF), labels_N)

    def logits(x: Array) -> Array:
        decided = head.decision_function(standardised(x))
        both: Array = np.stack([-decided / 2, decided / 2], 1) if decided.ndim == 1 else decided
        return both

    return {
        "1 - max softmax": lambda x: 1 - softmax(logits(x), axis=1).max(1),
        "energy": lambda x: -logsumexp(logits(x), axis=1),
    }


def _of_distances(features_NF: Array, labels_N: IntArray) -> dict[str, Score]:
    """Cosine distances, as features come and standardised; to class centroids, and to the fifth nearest photo.

    Y. Sun et al., Out-of-distribution Detection with Deep Nearest Neighbors, 2022.
    """
    found: dict[str, Score] = {}
    raw: Callable[[Array], Array] = unit
    standardised = _standardised(features_NF)
    for name, prepared in (("", raw), (", standardised", lambda x: unit(standardised(x)))):
        units = prepared(features_NF)
        centroids = unit(_means(units, labels_N))
        found[f"cosine to centroid{name}"] = lambda x, p=prepared, c=centroids: 1 - (p(x) @ c.T).max(1)  # type: ignore[misc]
        found[f"cosine to 5th nearest photo{name}"] = lambda x, p=prepared, u=units: _to_neighbour(p(x), u)  # type: ignore[misc]
    return found


def _of_covariances(features_NF: Array, labels_N: IntArray) -> dict[str, Score]:
    """Mahalanobis distance to the nearest class mean, one covariance for all classes, shrunk as Ledoit and Wolf do.

    K. Lee et al., 2018; of features of length 1: M. Mueller and M. Hein, Mahalanobis++, 2025. In full, or with the
    most varied directions kept and the variance of the others made equal.
    """
    found: dict[str, Score] = {}
    for name, prepared in ((", standardised", _standardised(features_NF)), (", length 1", unit)):
        x = prepared(features_NF)
        for kept in (_DIRECTIONS, None):
            few = f", {kept} directions" if kept else ""
            distance = _mahalanobis(x, labels_N, kept)
            found[f"Mahalanobis{name}{few}"] = lambda x, p=prepared, d=distance: d(p(x))  # type: ignore[misc]
    # The one that is shipped, by the code that is shipped.
    found[f"Mahalanobis, length 1, {_DIRECTIONS} directions"] = regions_of(features_NF, labels_N).scores
    return found


def _mahalanobis(x_NF: Array, labels_N: IntArray, kept: int | None) -> Score:
    means_CF = _means(x_NF, labels_N)
    within_NF = x_NF - means_CF[labels_N]
    n, width = within_NF.shape
    rho = ledoit_wolf_shrinkage(within_NF, assume_centered=True)
    _, singular, directions = np.linalg.svd(within_NF, full_matrices=False)
    variances = singular**2 / n
    mean_variance = variances.sum() / width
    k = min(kept or width, len(variances), width - 1)
    of_kept = (1 - rho) * variances[:k] + rho * mean_variance
    of_rest = ((1 - rho) * variances[k:].sum() + rho * mean_variance * (width - k)) / (width - k)
    # |d|^2 / rest + sum over directions of (d·v)^2 (1 / kept - 1 / rest)
    basis_kF = directions[:k] * np.sqrt(np.abs(1 / of_kept - 1 / of_rest))[:, None]
    sign_k = np.sign(1 / of_kept - 1 / of_rest)

    def distance(x: Array) -> Array:
        off = [x - mean for mean in means_CF]
        all_of_them = [(d**2).sum(1) / of_rest + ((d @ basis_kF.T) ** 2) @ sign_k for d in off]
        nearest: Array = np.min(all_of_them, axis=0)
        return nearest

    return distance


def _standardised(features_NF: Array) -> Callable[[Array], Array]:
    centre, spread = features_NF.mean(0), features_NF.std(0)
    scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0)
    return lambda x: (x - centre) * scale


def _means(x_NF: Array, labels_N: IntArray) -> Array:
    return np.stack([x_NF[labels_N == label].mean(0) for label in range(labels_N.max() + 1)])


def _to_neighbour(units_NF: Array, known_MF: Array) -> Array:
    nearness: Array = units_NF @ known_MF.T
    return 1 - np.partition(nearness, -_NEIGHBOURS, axis=1)[:, -_NEIGHBOURS]
