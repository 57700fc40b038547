"""Groups of photos by file size and by height and width, by K-means, with the curve that chose their number.

Distances are taken between logarithms, so that ten times as large is as far at 5 kB as at 5,000 kB. Without a number
given, it is the curve's elbow: of 1 to 10 clusters the one whose inertia lies furthest below the straight line between
the ends of the curve, both axes scaled to 0..1 (V. Satopää et al., Finding a "Kneedle" in a Haystack, 2011).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

FloatArray = npt.NDArray[np.float64]

MOST = 10  # clusters that are tried
_SEED = 0
_RESTARTS = 3
# More photos than this do not move the centres; all photos are then given to the nearest one.
_FITTED = 20_000

COLUMNS = {"size": ("n_bytes",), "shape": ("height_px", "width_px")}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One group: its number from 1, its photos, and for each column its centre, smallest and largest value.

    Values are in the units of the columns (bytes, px); a centre is the geometric mean.
    """

    number: int
    n: int
    centre: tuple[float, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Clustering:
    """All groups, the smaller photos first; none where no photo is readable."""

    of: str  # "size" or "shape"
    clusters: tuple[Cluster, ...]
    inertia: tuple[float, ...]  # by number of clusters, from 1: mean squared distance to the nearest centre
    numbers: pl.Series  # of each readable photo


def cluster(readable: pl.DataFrame, of: str, wanted: int) -> Clustering:
    """The groups by `of`, one of COLUMNS; `wanted` clusters, or as many as the elbow says for 0."""
    columns = list(COLUMNS[of])
    values_NC = readable.select(columns).to_numpy().astype(np.float64)
    logs_NC = np.log10(np.maximum(values_NC, 1))
    inertia, centres_by_k = _curve(logs_NC, max(MOST, wanted))
    if not inertia:
        return Clustering(of, (), (), pl.Series("number", [], dtype=pl.Int16))
    k = min(wanted, len(inertia)) if wanted else elbow(inertia)
    centres_KC = centres_by_k[k - 1]
    numbers = _nearest(logs_NC, centres_KC[np.argsort(centres_KC.sum(axis=1), kind="stable")])
    clusters = [
        Cluster(
            number=int(number),
            n=int(mine.sum()),
            centre=tuple(float(10**centre) for centre in logs_NC[mine].mean(axis=0)),
            low=tuple(int(low) for low in values_NC[mine].min(axis=0)),
            high=tuple(int(high) for high in values_NC[mine].max(axis=0)),
        )
        for number in np.unique(numbers)
        for mine in [numbers == number]
    ]
    return Clustering(of, tuple(clusters), tuple(inertia[:MOST]), pl.Series("number", numbers, dtype=pl.Int16))


def elbow(inertia: Sequence[float]) -> int:
    """The number of clusters at the elbow of a falling curve that begins with one cluster."""
    curve = np.asarray(inertia, dtype=np.float64)
    fall = curve[0] - curve[-1]
    if len(curve) < 3 or fall <= 1e-12:
        return len(curve) if fall > 1e-12 else 1
    across = np.linspace(0, 1, len(curve))
    below = 1 - across - (curve - curve[-1]) / fall
    return int(np.argmax(below)) + 1


def table(photos: pl.DataFrame, size: Clustering, shape: Clustering) -> pl.DataFrame:
    """path, size_cluster, shape_cluster of every photo; null for the unreadable."""
    readable = photos.filter(pl.col("error").is_null()).select(
        "path", size_cluster=size.numbers, shape_cluster=shape.numbers
    )
    return photos.select("path").join(readable, on="path", how="left", maintain_order="left")


def _curve(logs_NC: FloatArray, most: int) -> tuple[list[float], list[FloatArray]]:
    """Inertia and centres for 1, 2, … clusters, no more than there are different values."""
    # Seconds to import, which a scan that finds nothing new does not spend.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    if not len(logs_NC):
        return [], []
    rng = np.random.default_rng(_SEED)
    fitted_NC = logs_NC if len(logs_NC) <= _FITTED else logs_NC[rng.choice(len(logs_NC), _FITTED, replace=False)]
    different_KC, weight = np.unique(fitted_NC, axis=0, return_counts=True)
    inertia, centres = [], []
    # On so few numbers a second thread costs more than it brings (40 times where cores are busy), and one adds up in
    # the same order each time.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for k in range(1, min(most, len(different_KC)) + 1):
            model = KMeans(k, n_init=_RESTARTS, random_state=_SEED).fit(different_KC, sample_weight=weight)
            if len(np.unique(model.labels_)) < k:  # what is left to tell apart is rounding
                break
            inertia.append(float(model.inertia_) / len(fitted_NC))
            centres.append(np.asarray(model.cluster_centers_, dtype=np.float64))
    return inertia, centres


def _nearest(logs_NC: FloatArray, centres_KC: FloatArray) -> npt.NDArray[np.int16]:
    """The number, from 1, of the nearest centre of each photo."""
    best = np.full(len(logs_NC), np.inf)
    numbers = np.zeros(len(logs_NC), dtype=np.int16)
    for number, centre_C in enumerate(centres_KC, start=1):
        distance = ((logs_NC - centre_C) ** 2).sum(axis=1)
        closer = distance < best
        best[closer], numbers[closer] = distance[closer], number
    return numbers
