"""Figures about predictions: pure functions on numpy arrays.

Shapes: N photos, C classes. `confusion_CC[t, p]` counts the photos of class t that were predicted as p.

Where a share has no cases behind it there is one rule: precision, recall and F1 are 0 by scikit-learn's convention,
and an average leaves out the classes for which its share is undefined, as scikit-learn's averages do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fledged.intervals import wilson as wilson
from fledged.measured import ClassFigures

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# A float32 softmax is not exact to more than this, so a 0 is not taken as an infinite loss.
_SMALLEST = float(np.finfo(np.float32).eps)
WORST_LOSS = -math.log(_SMALLEST)


def confusion(true: IntArray, predicted: IntArray, n_classes: int) -> IntArray:
    """Counts of shape (C, C), the true class by row. `true` and `predicted` are class indices of shape (N,)."""
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    if counts.size != n_classes**2 or true.shape != predicted.shape:
        raise ValueError("an index is not below n_classes, or the two arrays differ in shape")
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def precision(confusion_CC: IntArray) -> FloatArray:
    """Of the photos predicted as a class, the share that is of it; 0 for a class that was never predicted."""
    return _share(np.diag(confusion_CC), confusion_CC.sum(axis=0))


def recall(confusion_CC: IntArray) -> FloatArray:
    """Of the photos of a class, the share predicted as it; 0 for a class without photos."""
    return _share(np.diag(confusion_CC), confusion_CC.sum(axis=1))


def f1(confusion_CC: IntArray) -> FloatArray:
    """The harmonic mean of precision and recall; 0 for a class that neither occurs nor is predicted.

    C. J. van Rijsbergen, "Information Retrieval", 2nd edition, 1979, chapter 7 (there 1 - E with equal weights).
    """
    return _share(2 * np.diag(confusion_CC), confusion_CC.sum(axis=0) + confusion_CC.sum(axis=1))


def by_class(confusion_CC: IntArray, classes: Sequence[str]) -> tuple[ClassFigures, ...]:
    """The figures of each class, in the order of `classes`."""
    shares = zip(classes, precision(confusion_CC), f1(confusion_CC), strict=True)
    return tuple(
        ClassFigures(
            label=label,
            precision=float(class_precision),
            recall=wilson(int(confusion_CC[i, i]), int(confusion_CC[i].sum())),
            f1=float(class_f1),
            support=int(confusion_CC[i].sum()),
            precision_interval=wilson(int(confusion_CC[i, i]), int(confusion_CC[:, i].sum())),
        )
        for i, (label, class_precision, class_f1) in enumerate(shares)
    )


def balanced_accuracy(confusion_CC: IntArray) -> float:
    """The mean recall of the classes that have photos, so that a rare class counts as much as a common one.

    K. H. Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010, for more than two
    classes. 0 where no class has photos.
    """
    return _mean(recall(confusion_CC)[confusion_CC.sum(axis=1) > 0])


def macro_f1(confusion_CC: IntArray) -> float:
    """The mean F1 of the classes that have photos or were predicted; a class with neither has no say.

    The mean of F1 values, not the F1 of means: J. Opitz and S. Burst, "Macro F1 and Macro F1", 2019.
    """
    occurs = confusion_CC.sum(axis=0) + confusion_CC.sum(axis=1) > 0
    return _mean(f1(confusion_CC)[occurs])


def weighted_f1(confusion_CC: IntArray) -> float:
    """The mean F1 of the classes, each counted as often as it has photos. 0 where no class has any."""
    support = confusion_CC.sum(axis=1)
    return float(f1(confusion_CC) @ support / support.sum()) if support.any() else 0.0


def losses(true: IntArray, probabilities_NC: npt.NDArray[np.floating]) -> FloatArray:
    """-ln(probability of the true class) of each photo (N,), in nats; at most WORST_LOSS."""
    of_true = probabilities_NC[np.arange(len(true)), true].astype(np.float64)
    of_true /= probabilities_NC.sum(axis=1, dtype=np.float64)
    return -np.log(np.clip(of_true, _SMALLEST, 1.0))


def brier_scores(true: IntArray, probabilities_NC: npt.NDArray[np.floating]) -> FloatArray:
    """The squared distance of each answer from the truth (N,), summed over the classes: 0 is perfect, 2 the worst.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950), 1-3.
    With two classes it is twice the distance of one class alone, which many call the Brier score.
    """
    off_NC = probabilities_NC.astype(np.float64)
    off_NC[np.arange(len(true)), true] -= 1
    scores: FloatArray = np.square(off_NC).sum(axis=1)
    return scores


def ranks(true: IntArray, probabilities_NC: npt.NDArray[np.floating]) -> IntArray:
    """How many classes come before the true one in each answer (N,), the most probable first.

    Of equally probable classes the one with the lower index comes first, as it does in the answer itself.
    """
    of_true_N1 = np.take_along_axis(probabilities_NC, true[:, None], axis=1)
    is_lower_index = np.arange(probabilities_NC.shape[1]) < true[:, None]
    before: IntArray = ((probabilities_NC > of_true_N1) | ((probabilities_NC == of_true_N1) & is_lower_index)).sum(1)
    return before


def log_loss(true: IntArray, probabilities_NC: npt.NDArray[np.floating]) -> float:
    """The mean of -ln(probability of the true class), in nats; 0 is perfect, ln C is a guess.

    I. J. Good, "Rational decisions", Journal of the Royal Statistical Society B 14 (1952), 107-114. Probabilities are
    clipped to float32's epsilon, so that one confident mistake costs at most 15.9. NaN for no photos.
    """
    if not len(true):
        return math.nan
    return float(losses(true, probabilities_NC).mean())


def _share(part: IntArray, whole: IntArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(len(whole), dtype=np.float64), where=whole > 0)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else 0.0


def mcnemar(only_first: int, only_second: int) -> float:
    """How probable so uneven a count is, or a more uneven one, if two models are equally good.

    `only_first` photos were right with the first model alone, `only_second` with the second alone. The exact test: Q.
    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika
    12 (1947), 153-157, by the binomial distribution.
    """
    n = only_first + only_second
    if n == 0:
        return 1.0
    as_uneven = sum(math.comb(n, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * as_uneven / int(2**n))
