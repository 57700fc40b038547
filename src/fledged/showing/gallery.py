"""Which photos the page shows: mistakes, right answers, and labels that the model doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fledged.engine import n_workers
from fledged.images import BadPhoto
from fledged.measuring import photos as labelled
from fledged.measuring.answering import Answers
from fledged.measuring.metrics import IntArray
from fledged.measuring.photos import Photo
from fledged.pages.thumbnails import Thumbnail, shrunk

# The longer side of a thumbnail: enough to see why a model erred, and some 6 kB a photo.
THUMBNAIL_PX = 192
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo on the page, and what the model said about it."""

    row: int  # among the answered photos
    path: str
    label: str
    predicted: str
    confidence: float
    thumbnail: Thumbnail | None  # None if the file can no longer be shown


@dataclass(frozen=True, slots=True)
class Mistaken:
    """Photos of one class that were taken for another: `n` in all, the shown ones most confident first."""

    true: int  # class indices
    answered: int
    label: str
    predicted: str
    n: int
    shown: tuple[Shown, ...]

    @property
    def n_shown(self) -> int:
        """How many of them are on the page."""
        return len(self.shown)


@dataclass(frozen=True, slots=True)
class Right:
    """Right answers of one class, or of all where there are too many classes to show each."""

    class_index: int  # -1 for all
    label: str
    n: int
    least: tuple[Shown, ...]  # the least confident first
    most: tuple[Shown, ...]  # the most confident first


@dataclass(frozen=True, slots=True)
class Gallery:
    """All photos of the page but those of training."""

    mistakes: tuple[Mistaken, ...]
    right: tuple[Right, ...]
    doubts: tuple[Shown, ...]
    n_doubts: int

    def shown(self, true: int, answered: int) -> bool:
        """Whether photos of a cell of the confusion matrix are on the page."""
        if true == answered:
            return any(group.class_index == true and group.least for group in self.right)
        return any((group.true, group.answered) == (true, answered) for group in self.mistakes)


def gallery_of(answers: Answers, n_mistakes: int, n_right: int, n_doubts: int) -> Gallery:
    """The photos to show, at most so many of each kind."""
    wrong_rows = _by_confidence(answers, np.flatnonzero(answers.true != answers.predicted))[::-1]
    doubted = doubted_rows(answers)
    right = _right_rows(answers, n_right)
    of_right = (row for _, _, least, most in right for row in (*least, *most))
    mistaken = _of_every_kind(answers, wrong_rows, n_mistakes)
    wanted = {*mistaken, *doubted[:n_doubts], *of_right}
    shown = _shown(answers, sorted(wanted))
    return Gallery(
        mistakes=_mistakes(answers, wrong_rows, [shown[row] for row in mistaken]),
        right=tuple(
            Right(
                index,
                "" if index < 0 else answers.classes[index],
                n,
                *(tuple(shown[row] for row in rows) for rows in both),
            )
            for index, n, *both in right
        ),
        doubts=tuple(shown[row] for row in doubted[:n_doubts]),
        n_doubts=len(doubted),
    )


def doubted_rows(answers: Answers) -> list[int]:
    """The answered photos whose label is probably wrong, the most confident answer first.

    The model names another class, with at least the confidence that photos of that class get for it on average: the
    rule of confident learning (C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating Uncertainty
    in Dataset Labels", JAIR 2021) for the class that is answered.
    """
    true, predicted, confidence = answers.true, answers.predicted, answers.confidence
    probabilities_NC = answers.probabilities_NC[answers.answered]
    usual = np.full(len(answers.classes), np.inf)  # a class without photos has no say
    for index in set(true.tolist()):
        usual[index] = probabilities_NC[true == index, index].mean(dtype=np.float64)
    rows = np.flatnonzero((true != predicted) & (confidence >= usual[predicted]))
    return _by_confidence(answers, rows)[::-1]


def _of_every_kind(answers: Answers, rows: Sequence[int], limit: int) -> list[int]:
    """So many of the rows, in their order: of every kind of mistake its first one, before any kind has its second.

    The most confident ones alone would often be of one kind, and the others' cells would lead nowhere.
    """
    true, predicted = answers.true.tolist(), answers.predicted.tolist()
    n_before: Counter[tuple[int, int]] = Counter()
    turns: list[tuple[int, int]] = []
    for place, row in enumerate(rows):
        kind = (true[row], predicted[row])
        turns.append((n_before[kind], place))
        n_before[kind] += 1
    return [rows[place] for place in sorted(place for _, place in sorted(turns)[:limit])]


def _mistakes(answers: Answers, rows: Sequence[int], shown: Sequence[Shown]) -> tuple[Mistaken, ...]:
    """By what was taken for what; the most frequent kind first."""
    true, predicted = answers.true.tolist(), answers.predicted.tolist()
    n_by_kind = Counter((true[row], predicted[row]) for row in rows)
    by_kind: dict[tuple[int, int], list[Shown]] = {}
    for entry in shown:
        by_kind.setdefault((true[entry.row], predicted[entry.row]), []).append(entry)
    kinds = sorted(by_kind, key=lambda kind: (-n_by_kind[kind], kind))
    names = answers.classes
    return tuple(Mistaken(t, p, names[t], names[p], n_by_kind[t, p], tuple(by_kind[t, p])) for t, p in kinds)


def _right_rows(answers: Answers, limit: int) -> list[tuple[int, int, list[int], list[int]]]:
    """(class index, right answers, rows of the least and of the most confident ones) of each class, or of all."""
    true, right = answers.true, answers.true == answers.predicted
    n_each = limit // len(answers.classes)
    groups = [(index, np.flatnonzero(right & (true == index))) for index in range(len(answers.classes))]
    if not n_each:
        n_each, groups = limit, [(-1, np.flatnonzero(right))]
    found = []
    for index, rows in groups:
        ranked = _by_confidence(answers, rows)
        least = ranked[: (n_each + 1) // 2]
        found.append((index, len(rows), least, ranked[len(least) :][::-1][: n_each // 2]))
    return [group for group in found if group[2]]


def _by_confidence(answers: Answers, rows: IntArray) -> list[int]:
    """The least confident first, and among equals the later path: reversed, they are in the order of their paths."""
    backwards = rows[::-1]
    ranked: list[int] = backwards[np.argsort(answers.confidence[backwards], kind="stable")].tolist()
    return ranked


def _shown(answers: Answers, rows: Sequence[int]) -> dict[int, Shown]:
    positions, predicted, confidence = answers.answered, answers.predicted, answers.confidence
    chosen = [answers.photos[positions[row]] for row in rows]
    with ThreadPoolExecutor(n_workers(0)) as pool:
        thumbnails = list(pool.map(thumbnail, chosen))
    return {
        row: Shown(
            row=row,
            path=photo.path,
            label=answers.classes[photo.class_index],
            predicted=answers.classes[predicted[row]],
            confidence=float(confidence[row]),
            thumbnail=small,
        )
        for row, photo, small in zip(rows, chosen, thumbnails, strict=True)
    }


def thumbnail(photo: Photo) -> Thumbnail | None:
    """Of a photo; None if its file can no longer be shown."""
    try:
        return shrunk(labelled.read(photo), THUMBNAIL_PX, JPEG_QUALITY)
    except BadPhoto:
        return None
