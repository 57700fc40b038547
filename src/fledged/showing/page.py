"""The page that a team shows to its customer: one HTML file, with its pictures inside or beside it (`album`), that asks
nothing of any network.

Every figure on it comes from `Figures` by its path there, which the page also notes (`data-figure`), so the page and
`metrics.json` cannot differ. It runs no script, and its content security policy forbids any.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fledged.measuring.answering import Answers
from fledged.measuring.confusions import confused_pairs
from fledged.measuring.figures import Figures
from fledged.measuring.subject import Subject
from fledged.pages import words
from fledged.pages.template import environment
from fledged.places import name_of
from fledged.products import Dataset
from fledged.showing import drawings
from fledged.showing.album import Address
from fledged.showing.exhibits import Exhibits
from fledged.showing.plots import plots
from fledged.showing.reliability import diagram

# Larger confusion matrices do not fit a page: the most frequent confusions are listed instead.
_MATRIX_CLASSES = 30
_LISTED_PAIRS = 10
_LISTED_UNREADABLE = 200

_FORMS: dict[str, Callable[[Any], str]] = {
    "percent": words.percent,
    "count": words.count,
    "decimal": words.decimal,
    "photos": words.photos,
    "points": words.points,
    "p_value": words.p_value,
}


@dataclass(frozen=True, slots=True)
class Story:
    """What the page tells."""

    report_id: str
    made_at: datetime
    figures: Figures
    answers: Answers
    subject: Subject
    dataset: Dataset | None  # that the model was made of, where it is at hand
    folder: str | None  # name of the labelled folder; None for the test split
    exhibits: Exhibits
    address: Address  # of a picture, on the page
    is_beside: bool  # the pictures lie in a folder beside the page


def render(story: Story) -> str:
    """The whole page; the same story gives the same bytes."""
    figures, run = story.figures, story.subject.run
    unreadable = _unreadable(story.answers)
    return (
        environment(Path(__file__).parent)
        .get_template("report/report.html.jinja")
        .render(
            story=story,
            f=figures,
            figure=figure_of(figures),
            figure_guess=words.decimal(math.log(len(figures.classes))),
            plots=plots(figures),
            question=words.question(figures.classes),
            weakest_first=_weakest_first(figures),
            has_matrix=len(figures.classes) <= _MATRIX_CLASSES,
            pairs=confused_pairs(figures)[:_LISTED_PAIRS],
            row_sums=[sum(row) for row in figures.confusion],
            column_sums=[sum(column) for column in zip(*figures.confusion, strict=True)],
            most_common=max(figures.by_class, key=lambda entry: entry.support).label,
            gallery=story.exhibits.gallery,
            neighbours=story.exhibits.neighbours,
            heatmaps=story.exhibits.heatmaps,
            unreadable=unreadable[:_LISTED_UNREADABLE],
            headline_axis=drawings.headline_axis(figures),
            histogram_axis=drawings.histogram_axis(figures),
            recall_axis=drawings.recall_axis(figures),
            histograms={
                side: drawings.histogram(figures, getattr(figures.confidence, side)) for side in ("right", "wrong")
            },
            reliability=diagram(figures.calibration),
            curves=drawings.curves(run.history(), run.best_epoch) if run else [],
            lake=name_of(story.dataset.lake) if story.dataset else "",
        )
    )


def figure_of(figures: Figures) -> Callable[..., Markup]:
    """A function that writes the figure at a path such as `by_class.0.recall.low`, exact value and source included."""
    tree = figures.model_dump(mode="json")

    def figure(path: str, form: str = "percent") -> Markup:
        value: Any = tree
        for step in path.split("."):
            value = value[int(step) if isinstance(value, list) else step]
        return Markup('<data data-figure="{}" value="{}">{}</data>').format(path, value, _FORMS[form](value))

    return figure


def _weakest_first(figures: Figures) -> list[int]:
    """Class indices by recall; classes without photos last."""
    by_class = figures.by_class
    return sorted(range(len(by_class)), key=lambda i: (by_class[i].support == 0, by_class[i].recall.value))


def _unreadable(answers: Answers) -> list[tuple[str, str]]:
    rows = zip(answers.photos, answers.errors, strict=True)
    return [(photo.path, error) for photo, error in rows if error is not None]
