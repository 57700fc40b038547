"""What the sections on all figures, curves, slices and learning need beside the figures themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fledged.measured import Figure, Slice
from fledged.measuring.figures import Figures
from fledged.measuring.slices import weakest
from fledged.pages.axes import Axis, axis, log_axis


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of all figures: its path in the figures, and how it is written."""

    name: str
    path: str
    form: str
    note: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A curve as SVG points in a square of 100; `is_weakest` stands out."""

    label: str
    points: str
    is_weakest: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart of curves."""

    title: str
    across: str
    up: str
    traces: tuple[Trace, ...]
    has_diagonal: bool


@dataclass(frozen=True, slots=True)
class Learning:
    """The learning curve as places in a frame of 100."""

    across: Axis
    up: Axis
    known: str  # the law, up to the photos there are
    beyond: str  # and from there to twice as many


@dataclass(frozen=True, slots=True)
class Plots:
    """All of it."""

    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]
    ranked: tuple[int, ...]  # indices of the classes that have areas, the lowest average precision first
    weakest: tuple[tuple[int, Slice], ...]
    by_trait: tuple[tuple[str, tuple[tuple[int, Slice], ...]], ...]
    slice_axis: Axis
    learning: Learning | None


def plots(figures: Figures) -> Plots:
    """What the templates draw."""
    numbered = list(enumerate(figures.slices))
    worst = weakest(figures.slices)
    lows = [part.accuracy.low for part in figures.slices] + [figures.accuracy.low, 0.9]
    return Plots(
        rows=tuple(_rows(figures)),
        panels=tuple(_panels(figures)),
        ranked=tuple(_ranked(figures)),
        weakest=tuple((i, part) for part in worst for i, known in numbered if known is part),
        by_trait=tuple(
            (trait, tuple(parts)) for trait, parts in groupby(numbered, key=lambda numbered: numbered[1].trait)
        ),
        slice_axis=axis(min(lows), 1.0),
        learning=_learning(figures),
    )


def _rows(figures: Figures) -> list[Row]:
    overall = figures.overall
    guess = f"{overall.brier_guess:.3f} for always answering with the shares of the classes"
    rows = [
        Row("Accuracy", "accuracy", "percent", "answers that were right"),
        Row("Balanced accuracy", "overall.balanced_accuracy", "percent", "mean recall of the classes"),
        Row("Macro F1", "overall.macro_f1", "decimal", "each class counts the same"),
        Row("Weighted F1", "overall.weighted_f1", "decimal", "each class counts as often as it has photos"),
        *(
            Row(
                f"Top {top.k}",
                f"overall.top_k.{i}.accuracy",
                "percent",
                f"the truth is among the {top.k} most probable",
            )
            for i, top in enumerate(overall.top_k)
        ),
        Row("Log loss", "overall.log_loss", "decimal", "nats; 0 is perfect"),
        Row("Brier score", "overall.brier", "decimal", f"summed over classes; 0 is perfect, {guess}"),
    ]
    if overall.macro_auc is not None:
        rows.append(Row("ROC area", "overall.macro_auc", "decimal", "mean of the classes; 0.5 is a guess"))
    if overall.macro_average_precision is not None:
        rows.append(Row("Average precision", "overall.macro_average_precision", "decimal", "mean of the classes"))
    return rows


def _panels(figures: Figures) -> list[Panel]:
    if not figures.curves:
        return []
    ranked = [figures.classes[i] for i in _ranked(figures)]
    curves = sorted(figures.curves, key=lambda curve: -ranked.index(curve.label))  # the weakest on top

    def traces(kind: str) -> tuple[Trace, ...]:
        return tuple(
            Trace(curve.label, _points(getattr(curve, kind)), len(ranked) > 1 and curve.label == ranked[0])
            for curve in curves
        )

    return [
        Panel("ROC", "false alarms among all others", "found of the class", traces("roc"), True),
        Panel("Precision and recall", "recall: found of the class", "precision", traces("precision_recall"), False),
    ]


def _ranked(figures: Figures) -> list[int]:
    known: list[tuple[float, int]] = [
        (entry.average_precision.value, i)
        for i, entry in enumerate(figures.by_class)
        if isinstance(entry.average_precision, Figure)
    ]
    return [i for _, i in sorted(known)]


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{100 * x:g},{100 - 100 * y:g}" for x, y in points)


def _learning(figures: Figures) -> Learning | None:
    curve = figures.learning
    if curve is None:
        return None
    n_now = curve.points[-1].n_photos
    across = log_axis(max(1, curve.points[0].n_photos), max(2, 2 * n_now))
    values = [value for _, value in curve.fitted]
    up = axis(
        min([point.accuracy.low for point in curve.points] + values),
        max([point.accuracy.high for point in curve.points] + values),
    )
    places = [(n, f"{across.at(n):g},{100 - up.at(value):g}") for n, value in curve.fitted]
    known = [place for n, place in places if n <= n_now]
    beyond = [known[-1], *(place for n, place in places if n > n_now)] if known else []
    return Learning(across, up, " ".join(known), " ".join(beyond))
