"""How a model's answers are spread on the photos that it was judged on: what `serve` tells drift from.

The test split is taken, not the validation one: its photos were read from their original files, as a server reads them,
and on validation photos a model is a little surer than it will be.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged.measured import Histogram, Spread
from fledged.products import Report

_BINS = 10


def spread_of(report: Report) -> Spread | None:
    """Histograms of the report's confidences and unknown scores; None where no photo was answered."""
    answers = report.predictions().filter(pl.col("error").is_null())
    if answers.is_empty():
        return None
    scores = answers["unknown_score"].to_numpy() if "unknown_score" in answers.columns else None
    return Spread(
        n_photos=answers.height,
        confidence=histogram(answers["confidence"].to_numpy()),
        unknown_score=None if scores is None else histogram(scores),
    )


def histogram(values: npt.NDArray[np.float64]) -> Histogram:
    """Ten bins of equally many values, or fewer where many values are equal."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Histogram(edges=tuple(map(float, edges)), counts=tuple(map(int, counts)))
