"""Photos that are unlike all others of their class: something else, a screenshot, a montage."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged.engine import LOCAL, Engine
from fledged.reviewing.duplicates import unit
from fledged.reviewing.neighbours import nearest

_NEIGHBOURS = 10
_MIN_PHOTOS = 20  # below, a class has no usual distance
# 1.4826 median absolute deviations are a standard deviation where the distances are normally distributed.
_MAD_TO_SD = 1.4826


def outliers(
    labels: pl.Series,
    groups: npt.NDArray[np.int64],
    features_NF: npt.NDArray[np.float32],
    threshold: float,
    on: Engine = LOCAL,
) -> pl.DataFrame:
    """A row an outlier: row (in `labels`), score: how many standard deviations its distance is above its class's.

    The distance is the mean cosine distance to the ten nearest photos of the class (near duplicates count once); score
    and threshold are modified z-scores (B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, 1993).
    """
    found: list[tuple[int, float]] = []
    first_of_group = np.zeros(len(labels), bool)
    first_of_group[np.unique(groups, return_index=True)[1]] = True
    for label in sorted(set(labels)):
        rows = np.flatnonzero((labels == label).to_numpy() & first_of_group)
        if len(rows) < _MIN_PHOTOS:
            continue
        distance = 1 - nearest(unit(features_NF[rows]), _NEIGHBOURS, on).cosine_NK.mean(1)
        median = np.median(distance)
        spread = _MAD_TO_SD * np.median(np.abs(distance - median))
        score = (distance - median) / max(float(spread), 1e-6)
        found += [(int(row), float(value)) for row, value in zip(rows, score, strict=True) if value > threshold]
    return pl.DataFrame(found, schema={"row": pl.Int64, "score": pl.Float64}, orient="row")
