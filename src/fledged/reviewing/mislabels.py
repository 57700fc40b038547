"""Photos that probably lie in the wrong class folder.

Each photo is judged by a logistic regression on cached features that has not seen it, nor any photo of its group. Wrong
labels teach the regression wrong things, so it is fitted again with each photo weighted by the probability that it gave
to that photo's label: what was probably wrong counts little. The probabilities are then read by confident learning
(C. Northcutt et al., Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 2021), in its own library.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from fledged import engine
from fledged.progress import Report

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_FOLDS = 5
_FOLDS_TO_CHOOSE = 2  # that the strength of regularisation is chosen by
_REWEIGHTED = 1  # fits after the first; more change nothing
_STRENGTHS = (1e-4, 1e-3, 1e-2)  # inverse regularisation; the one that predicts the given labels best is taken
# A class needs a group in each fold to be judged, and a photo to be learned from.
_MIN_GROUPS = 2


def likely_mislabels(
    labels: pl.Series, groups: Int64Array, features_NF: npt.NDArray[np.float32], threshold: float, report: Report
) -> pl.DataFrame:
    """A row a suspect: row (in `labels`), suggested_label, score (0..1), sure; the surest first.

    The score is 0.5 where the label that was given and another are equally probable, and 1 where the given one is
    impossible. `sure` says that confident learning counts the photo among the wrong ones.
    """
    classes = sorted(set(labels))
    n_groups = [len(set(groups[(labels == label).to_numpy()])) for label in classes]
    judged = [label for label, n in zip(classes, n_groups, strict=True) if n >= _MIN_GROUPS]
    if len(judged) < 2:
        return _table([], [], [], [])
    rows = np.flatnonzero(labels.is_in(judged).to_numpy())
    given = labels.gather(rows).replace_strict(judged, list(range(len(judged))), return_dtype=pl.Int64).to_numpy()
    probabilities = out_of_sample(given, groups[rows], features_NF[rows], report)
    quality, issues = _confident_learning(given, probabilities)
    score = 1 - quality
    suspects = np.flatnonzero((score > threshold) | issues)
    suspects = suspects[np.lexsort((rows[suspects], -score[suspects]))]
    best = _without_given(probabilities, given).argmax(1)
    return _table(
        rows[suspects].tolist(),
        [judged[index] for index in best[suspects]],
        score[suspects].tolist(),
        issues[suspects].tolist(),
    )


def out_of_sample(
    given: Int64Array, groups: Int64Array, features_NF: npt.NDArray[np.float32], report: Report
) -> Float64Array:
    """Probability of each class for each photo (N, C), from fits that have seen nothing of the photo's group."""
    folds = _folds(given, groups)
    every, few = np.unique(folds), np.unique(folds)[:_FOLDS_TO_CHOOSE]
    step, total = "Looking for wrong labels", len(_STRENGTHS) + 1 + _REWEIGHTED
    report(step, 0, total)
    losses = {}
    for number, strength in enumerate(_STRENGTHS, start=1):
        found = _predicted(given, np.ones(len(given)), features_NF, (folds, few), strength)
        judged = np.isin(folds, few)
        losses[strength] = -np.log(np.maximum(_of_given(found, given)[judged], 1e-12)).mean()
        report(step, number, total)
    best = min(losses, key=lambda strength: losses[strength])
    weights = np.ones(len(given))
    for number in range(1 + _REWEIGHTED):
        probabilities = _predicted(given, weights, features_NF, (folds, every), best)
        weights = _of_given(probabilities, given)
        report(step, len(_STRENGTHS) + number + 1, total)
    return probabilities


def _folds(given: Int64Array, groups: Int64Array) -> Int64Array:
    """The fold of each photo; a group is never divided."""
    n_folds = min(_FOLDS, *(len(set(groups[given == index])) for index in set(given.tolist())))
    fold = np.zeros(len(given), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class has fewer photos than there are folds
        splitter = StratifiedGroupKFold(max(2, n_folds), shuffle=True, random_state=0)
        for number, (_, held_out) in enumerate(splitter.split(given, given, groups)):
            fold[held_out] = number
    return fold


def _predicted(
    given: Int64Array,
    weights: Float64Array,
    features_NF: npt.NDArray[np.float32],
    folds: tuple[Int64Array, Int64Array],
    strength: float,
) -> Float64Array:
    """Probabilities (N, C) of the photos in those folds (the second) of all (the first); the others' are 0."""
    probabilities = np.zeros((len(given), int(given.max()) + 1))

    def predict(fold: np.int64) -> None:
        seen, held_out = folds[0] != fold, folds[0] == fold
        known = np.unique(given[seen])
        if len(known) < 2:
            probabilities[np.ix_(held_out, known)] = 1.0
            return
        model = LogisticRegression(C=strength, max_iter=200)
        model.fit(features_NF[seen], given[seen], sample_weight=np.maximum(weights[seen], 1e-3))
        probabilities[np.ix_(held_out, known)] = model.predict_proba(features_NF[held_out])

    # A fit is many small products: one thread for each fold is faster than many for each product.
    with threadpool_limits(1), warnings.catch_warnings(), ThreadPoolExecutor(engine.n_workers(0)) as pool:
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough for a ranking
        list(pool.map(predict, folds[1]))
    return probabilities


def _confident_learning(given: Int64Array, probabilities: Float64Array) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
    """Label quality by normalised margin (0..1), and which labels confident learning counts as wrong."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    quality = get_label_quality_scores(given, probabilities, method="normalized_margin")
    issues = find_label_issues(given, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    return np.asarray(quality, np.float64), np.asarray(issues, bool)


def _of_given(probabilities: Float64Array, given: Int64Array) -> Float64Array:
    result: Float64Array = probabilities[np.arange(len(given)), given]
    return result


def _without_given(probabilities: Float64Array, given: Int64Array) -> Float64Array:
    others = probabilities.copy()
    others[np.arange(len(given)), given] = -1
    return others


def _table(rows: list[int], suggested: list[str], scores: list[float], sure: list[bool]) -> pl.DataFrame:
    return pl.DataFrame(
        {"row": rows, "suggested_label": suggested, "score": scores, "sure": sure},
        schema={"row": pl.Int64, "suggested_label": pl.String, "score": pl.Float64, "sure": pl.Boolean},
    )
