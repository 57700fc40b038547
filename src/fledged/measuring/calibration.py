"""Whether a confidence is the share of right answers: reliability bins and the expected calibration error.

Shapes: N answered photos.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fledged.measuring.answering import Answers
from fledged.measuring.metrics import wilson
from fledged.networks.knowing import at_temperature
from fledged.products import Calibration, CalibrationFigures, ConfidenceBin

BoolArray = npt.NDArray[np.bool_]

_MAX_BINS = 10
_PHOTOS_A_BIN = 20  # at least, as far as there are so many
_DRAWS = 500


def calibration_of(answers: Answers, known: Calibration) -> CalibrationFigures:
    """The figures of at least one answered photo, of a model at this temperature."""
    after_NC = answers.probabilities_NC[answers.answered]
    before_NC = at_temperature(after_NC, 1 / known.temperature)
    right_N = answers.predicted == answers.true
    before, after = (bins(confidence_N.max(1), right_N) for confidence_N in (before_NC, after_NC))
    return CalibrationFigures(
        temperature=known.temperature,
        n_validation=known.n_photos,
        ece_before=ece(before),
        ece_after=ece(after),
        ece_by_chance=ece_by_chance(after_NC.max(1)),
        before=before,
        after=after,
    )


def bins(confidence_N: npt.NDArray[np.floating], right_N: BoolArray) -> tuple[ConfidenceBin, ...]:
    """The photos in the order of their confidence, cut into ten bins of equal size, or fewer where photos are few.

    Bins of equal width would leave most of them nearly empty, since most answers are sure. (K. Nguyen and B. O'Connor,
    Posterior calibration and exploratory analysis for natural language processing models, 2015.)
    """
    return tuple(
        ConfidenceBin(
            n=len(part),
            confidence=float(confidence_N[part].mean(dtype=np.float64)),
            right=wilson(int(right_N[part].sum()), len(part)),
        )
        for part in _parts(confidence_N)
    )


def ece(of_bins: tuple[ConfidenceBin, ...]) -> float:
    """The expected calibration error, 0..1: how far confidence is from the share of right answers, mean over photos.

    M. Naeini, G. Cooper and M. Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, 2015.
    """
    n_photos = sum(entry.n for entry in of_bins)
    return sum(entry.n * abs(entry.right.value - entry.confidence) for entry in of_bins) / n_photos


def ece_by_chance(confidence_N: npt.NDArray[np.floating]) -> float:
    """What the error would be on average, were each confidence exactly the probability of being right.

    It is above 0 and falls with the number of photos: an error is not to be taken for more than this. By drawing.
    """
    confidence = confidence_N.astype(np.float64).clip(0, 1)
    drawn_DN = np.random.default_rng(0).random((_DRAWS, len(confidence)), dtype=np.float32) < confidence
    off = [np.abs((drawn_DN[:, part] - confidence[part]).sum(1)) for part in _parts(confidence)]
    return float(np.sum(off, axis=0).mean() / len(confidence))


def _parts(confidence_N: npt.NDArray[np.floating]) -> list[npt.NDArray[np.int64]]:
    n_bins = max(1, min(_MAX_BINS, len(confidence_N) // _PHOTOS_A_BIN))
    return np.array_split(np.argsort(confidence_N, kind="stable"), n_bins)
