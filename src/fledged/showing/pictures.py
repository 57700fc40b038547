"""Figures as pictures that people can paste: `figures/` beside the report, each as SVG and as PNG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from fledged.measured import Curves, LearningCurve
from fledged.measuring.figures import Figures
from fledged.pages.axes import Axis, axis, log_axis
from fledged.pages.sketch import (
    BLUE,
    FAINT,
    GRID,
    INK,
    PALE_BLUE,
    RUST,
    SOFT,
    Box,
    Dot,
    Line,
    Point,
    Shape,
    Sketch,
    Words,
    png,
    svg,
)
from fledged.pages.words import percent, shortened

PICTURES = "figures"  # the folder
_MOST_IN_MATRIX = 100  # classes; more are less than a few pixels each
_MOST_NAMED = 40
_MOST_ROWS = 60
_MOST_LINES = 8  # with a name each
_NAME = 22  # columns of a class name
_FULL = 0.7  # of a colour, where all of a row are in one cell: words on it stay legible


def pictures(figures: Figures) -> Iterator[tuple[str, bytes]]:
    """File names and contents. A figure that was not measured, or has too many classes to be seen, has none."""
    made: dict[str, Sketch | None] = {
        "confusion": confusion(figures),
        "classes": classes(figures),
        "roc": _curves(figures, "ROC curve", "roc", ("false alarms among all others", "found of the class")),
        "precision_recall": _curves(
            figures, "Precision and recall", "precision_recall", ("recall: found of the class", "precision")
        ),
        "learning_curve": learning(figures.learning) if figures.learning else None,
    }
    for name, sketch in made.items():
        if sketch is not None:
            yield f"{name}.svg", svg(sketch)
            yield f"{name}.png", png(sketch)


def confusion(figures: Figures) -> Sketch | None:
    """Photos by true and answered class, coloured by their share of the row."""
    n = len(figures.classes)
    if n > _MOST_IN_MATRIX:
        return None
    side = max(7.0, min(110.0, 760 / n))
    longest = max(cell_len(shortened(label, _NAME)) for label in figures.classes)
    names_px = min(190, 30 + 8 * longest) if n <= _MOST_NAMED else 24
    left, top = names_px + 36, names_px + 90 if n > 6 else 138
    size = side * n
    shapes: list[Shape] = [
        Words(24, 30, "What is taken for what", 20),
        Words(24, 58, f"{figures.n_photos:,} photos, and shares of the row", 14, SOFT),
        Words(left + size / 2, 88, "what the model answered", 14, SOFT, "middle"),
        Words(18, top + size / 2, "what it is", 14, SOFT, "middle", is_upright=True),
    ]
    for t, row in enumerate(figures.confusion):
        total = sum(row)
        for p, count in enumerate(row):
            share = count / total if total else 0.0
            colour = _mixed(BLUE if t == p else RUST, _FULL * (share if t == p else share**0.5))
            x, y = left + p * side, top + t * side
            shapes.append(Box(x + 1, y + 1, side - 2, side - 2, colour if count else FAINT))
            if side >= 30 and count:
                across, down = x + side / 2, y + side / 2
                shapes.append(Words(across, down - (9 if side > 60 else 0), f"{count:,}", 16, INK, "middle"))
                if side > 60:
                    shapes.append(Words(across, down + 14, percent(share), 13, INK, "middle"))
    if n <= _MOST_NAMED:
        text_px = min(15.0, side * 0.8)
        for i, label in enumerate(figures.classes):
            middle = (i + 0.5) * side
            name = shortened(label, _NAME)
            shapes.append(Words(left - 8, top + middle, name, text_px, INK, "right", most_px=names_px))
            if n > 6:
                up = Words(left + middle, top - 8, name, text_px, INK, "left", is_upright=True, most_px=names_px)
                shapes.append(up)
            else:
                name = shortened(label, 12)
                shapes.append(Words(left + middle, top - 16, name, text_px, INK, "middle", most_px=side))
    wide = max(380, round(left + size + 24))
    return Sketch(
        wide,
        round(top + size + 24),
        "Confusion matrix",
        f"{figures.n_right} of {figures.n_photos} photos right, over {n} classes",
        tuple(shapes),
    )


def classes(figures: Figures) -> Sketch:
    """Recall of each class with its interval, and precision; the weakest first."""
    entries = sorted(figures.by_class, key=lambda entry: (entry.support == 0, entry.recall.value))[:_MOST_ROWS]
    lows = [entry.recall.low for entry in entries if entry.support] + [entry.precision for entry in entries]
    across = axis(min([*lows, 0.9]), 1.0)
    left, right, top, row_px = 220.0, 760.0, 104.0, 34.0
    bottom = top + row_px * len(entries)

    def x_of(value: float) -> float:
        return left + across.at(value) / 100 * (right - left)

    shapes: list[Shape] = [
        Words(24, 30, "Class by class", 20),
        Dot(left + 5, 62, 5, BLUE),
        Words(left + 16, 62, "recall, with its 95% interval", 14, SOFT),
        Line(((left + 240, 56), (left + 240, 68)), RUST, 3),
        Words(left + 252, 62, "precision", 14, SOFT),
        Words(850, 86, "photos", 13, SOFT, "right"),
    ]
    for tick in across.ticks:
        shapes.append(Line(((x_of(tick), top - 8), (x_of(tick), bottom)), GRID))
        shapes.append(Words(x_of(tick), bottom + 18, f"{tick:.0%}", 13, SOFT, "middle"))
    for i, entry in enumerate(entries):
        y = top + (i + 0.5) * row_px
        shapes.append(Words(left - 14, y, shortened(entry.label, _NAME), 15, INK, "right", most_px=left - 20))
        shapes.append(Words(850, y, f"{entry.support:,}", 14, SOFT, "right"))
        if entry.support:
            shapes.append(
                Box(x_of(entry.recall.low), y - 4, x_of(entry.recall.high) - x_of(entry.recall.low), 8, PALE_BLUE)
            )
            shapes.append(Dot(x_of(entry.recall.value), y, 6, BLUE))
        shapes.append(Line(((x_of(entry.precision), y - 9), (x_of(entry.precision), y + 9)), RUST, 3))
    said = f"{len(entries)} of {len(figures.by_class)} classes, the lowest recall first"
    return Sketch(880, round(bottom + 40), "Recall and precision of each class", said, tuple(shapes))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a chart lies on its picture."""

    across: Axis
    up: Axis
    left: float = 84
    top: float = 64
    width: float = 520
    height: float = 440

    def at(self, x: float, y: float) -> Point:
        return (
            self.left + self.across.at(x) / 100 * self.width,
            self.top + (1 - self.up.at(y) / 100) * self.height,
        )

    def shapes(self, title: str, names: tuple[str, str], word: Callable[[float], str]) -> list[Shape]:
        """Title, grid, and what stands at the axes."""
        bottom = self.top + self.height
        made: list[Shape] = [
            Words(24, 30, title, 20),
            Words(self.left + self.width / 2, bottom + 46, names[0], 14, SOFT, "middle"),
            Words(20, self.top + self.height / 2, names[1], 14, SOFT, "middle", is_upright=True),
        ]
        for tick in self.up.ticks:
            y = self.at(self.across.low, tick)[1]
            made.append(Line(((self.left, y), (self.left + self.width, y)), GRID))
            made.append(
                Words(
                    self.left - 10,
                    y,
                    f"{tick:.0%}" if self.up.high - self.up.low > 0.04 else f"{tick:.1%}",
                    13,
                    SOFT,
                    "right",
                )
            )
        for tick in self.across.ticks:
            x = self.at(tick, self.up.low)[0]
            made.append(Line(((x, self.top), (x, bottom)), GRID))
            made.append(Words(x, bottom + 18, word(tick), 13, SOFT, "middle"))
        return made


def _curves(figures: Figures, title: str, kind: str, names: tuple[str, str]) -> Sketch | None:
    if not figures.curves:
        return None
    frame = _Frame(axis(0.0, 1.0), axis(0.0, 1.0))
    shapes = frame.shapes(title, names, lambda tick: f"{tick:.0%}")
    if kind == "roc":
        shapes.append(Line((frame.at(0, 0), frame.at(1, 1)), SOFT, 1, is_dashed=True))
    ordered = weakest_last(figures)
    for curve in ordered:
        points: Sequence[Point] = getattr(curve, kind)
        is_weakest = curve is ordered[-1] and len(ordered) > 1
        shapes.append(
            Line(tuple(frame.at(x, y) for x, y in points), RUST if is_weakest else BLUE, 2.5 if is_weakest else 2)
        )
    x = frame.left + frame.width + 28
    areas = {entry.label: entry.auc if kind == "roc" else entry.average_precision for entry in figures.by_class}
    shapes.append(Words(x, frame.top + 6, "area under the curve" if kind == "roc" else "average precision", 13, SOFT))
    for i, curve in enumerate(reversed(ordered[-_MOST_LINES:])):
        area = areas[curve.label]
        y = frame.top + 34 + 26 * i
        shapes.append(Line(((x, y), (x + 20, y)), RUST if i == 0 and len(ordered) > 1 else BLUE, 3))
        shapes.append(Words(x + 30, y, f"{area.value:.3f}" if area else "-", 15))
        shapes.append(Words(x + 82, y, shortened(curve.label, _NAME), 15, most_px=920 - x - 86))
    if len(ordered) > _MOST_LINES:
        shapes.append(Words(x, frame.top + 34 + 26 * _MOST_LINES, f"and {len(ordered) - _MOST_LINES} more", 14, SOFT))
    said = f"Each of {len(ordered)} classes against all others"
    return Sketch(920, 580, title, said, tuple(shapes))


def weakest_last(figures: Figures) -> list[Curves]:
    """The curves by average precision, the lowest on top of the others."""
    areas = {entry.label: entry.average_precision.value for entry in figures.by_class if entry.average_precision}
    return sorted(figures.curves, key=lambda curve: -areas.get(curve.label, 0.0))


def learning(curve: LearningCurve) -> Sketch:
    """Accuracy by training photos, with the fitted law as far as twice as many."""
    frame = learning_frame(curve)
    shapes = frame.shapes(
        "Learning curve", ("training photos", "accuracy on left-out photos"), lambda tick: f"{tick:,.0f}"
    )
    n_now = curve.points[-1].n_photos
    law = [frame.at(n, value) for n, value in curve.fitted]
    known = [point for point, (n, _) in zip(law, curve.fitted, strict=True) if n <= n_now]
    shapes.append(Line(tuple(known), BLUE, 2))
    shapes.append(Line(tuple(law[max(0, len(known) - 1) :]), BLUE, 2, is_dashed=True))
    for point in curve.points:
        x, y = frame.at(point.n_photos, point.accuracy.value)
        low, high = (frame.at(point.n_photos, value)[1] for value in (point.accuracy.low, point.accuracy.high))
        shapes.append(Line(((x, low), (x, high)), SOFT, 2))
        shapes.append(Dot(x, y, 6, BLUE))
    gain = curve.gain
    said = (
        f"Twice the photos would bring about {100 * gain.value:+.1f} points "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, 95% interval)"
    )
    shapes.append(Words(frame.left + 190, 30, said, 15, SOFT))
    return Sketch(880, 580, "Learning curve", said, tuple(shapes))


def learning_frame(curve: LearningCurve) -> _Frame:
    """Logarithmic across; up from the lowest interval to the highest."""
    lows = [point.accuracy.low for point in curve.points] + [value for _, value in curve.fitted]
    highs = [point.accuracy.high for point in curve.points] + [value for _, value in curve.fitted]
    across = log_axis(max(1, curve.points[0].n_photos), 2 * max(1, curve.points[-1].n_photos))
    up = axis(min(lows), max(highs))
    return _Frame(across, up, width=760)


def _mixed(colour: str, share: float) -> str:
    """The colour on white paper, so thin."""
    share = 0.06 + 0.94 * min(1.0, share)
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + share * (part - 255)):02x}" for part in parts)
