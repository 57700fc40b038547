"""All figures of one evaluation: what `metrics.json` holds, what the page shows and what the Report is made of."""

from __future__ import annotations

import numpy as np

from fledged.measured import ClassFigures, Curves, Figure, LearningCurve, Overall, Slice, SplitFigures
from fledged.measuring import metrics, ranking
from fledged.measuring.answering import Answers
from fledged.measuring.context import Context, of_answered
from fledged.measuring.overall import measure
from fledged.measuring.resampling import groups_of
from fledged.measuring.slices import slices
from fledged.products import CalibrationFigures, UnknownFigures
from fledged.records import Record

_N_BINS = 20


class Confidence(Record):
    """How sure the model was of its answers, right and wrong ones apart."""

    edges: tuple[float, ...]  # of the bins, 0..1
    right: tuple[int, ...]  # photos a bin
    wrong: tuple[int, ...]
    median_right: float | None  # None where there are none
    median_wrong: float | None


class Figures(Record):
    """How a model did."""

    subject: str
    source: str
    classes: tuple[str, ...]
    n_photos: int  # answered ones: behind every figure
    n_right: int
    n_wrong: int
    n_unreadable: int
    n_seen: int | None  # of a folder's photos, the model was trained or chosen on; None if that is unknown
    folders_without_class: dict[str, int]
    accuracy: Figure
    baseline: float  # accuracy of always answering the most common class
    balanced_accuracy: float
    macro_f1: float
    log_loss: float  # nats
    by_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]  # [true][predicted]
    confidence: Confidence
    overall: Overall
    curves: tuple[Curves, ...]  # one class against all others
    other_splits: tuple[SplitFigures, ...]
    slices: tuple[Slice, ...]
    learning: LearningCurve | None
    not_measured: dict[str, str]  # what -> why not
    calibration: CalibrationFigures | None = None  # None for models of before there was a temperature
    unknown: UnknownFigures | None = None  # None for models without a threshold


def figures_of(
    answers: Answers,
    subject: str,
    source: str,
    n_seen: int | None,
    folders_without_class: dict[str, int],
    context: Context,
) -> Figures:
    """The figures of at least one answered photo; the rest is noted as it is."""
    true, predicted = answers.true, answers.predicted
    probabilities_NC = answers.probabilities_NC[answers.answered]
    groups = groups_of(answers.groups)
    measured = measure(true, predicted, probabilities_NC, answers.classes, groups)
    counts_CC = metrics.confusion(true, predicted, len(answers.classes))
    n_photos, n_right = len(true), int(np.trace(counts_CC))
    return Figures(
        subject=subject,
        source=source,
        n_seen=n_seen,
        folders_without_class=folders_without_class,
        classes=answers.classes,
        n_photos=n_photos,
        n_right=n_right,
        n_wrong=n_photos - n_right,
        n_unreadable=len(answers.photos) - n_photos,
        accuracy=measured.accuracy,
        baseline=int(counts_CC.sum(axis=1).max()) / n_photos,
        balanced_accuracy=measured.overall.balanced_accuracy.value,
        macro_f1=measured.overall.macro_f1.value,
        log_loss=measured.overall.log_loss.value,
        by_class=measured.by_class,
        confusion=tuple(tuple(row) for row in counts_CC.tolist()),
        confidence=_confidence(answers),
        overall=measured.overall,
        curves=ranking.curves(true, probabilities_NC, answers.classes),
        other_splits=context.other_splits,
        slices=slices(of_answered(context.traits, answers.answered), true == predicted, groups),
        learning=context.learning,
        not_measured=context.not_measured,
    )


def _confidence(answers: Answers) -> Confidence:
    confidence = answers.confidence
    right = answers.true == answers.predicted
    edges = np.linspace(0, 1, _N_BINS + 1).round(2)
    counts = [np.histogram(confidence[which].clip(0, 1), edges)[0].tolist() for which in (right, ~right)]
    medians = [float(np.median(confidence[which])) if which.any() else None for which in (right, ~right)]
    return Confidence(
        edges=tuple(edges.tolist()),
        right=tuple(counts[0]),
        wrong=tuple(counts[1]),
        median_right=medians[0],
        median_wrong=medians[1],
    )
