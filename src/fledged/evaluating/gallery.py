"""The photos that the page shows: mistakes, and right answers that the model was least sure of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fledged.engine import n_workers
from fledged.evaluating import photos as labelled
from fledged.evaluating.answering import Answers
from fledged.evaluating.metrics import IntArray
from fledged.evaluating.photos import Photo
from fledged.images import BadPhoto
from fledged.pages.thumbnails import Thumbnail, shrunk

# The longer side of a thumbnail: enough to see why a model erred, and some 6 kB a photo.
_THUMBNAIL_PX = 192
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo on the page, and what the model said about it."""

    path: str
    label: str
    predicted: str
    confidence: float
    thumbnail: Thumbnail | None  # None if the file can no longer be shown


@dataclass(frozen=True, slots=True)
class Mistaken:
    """Photos of one class that were taken for another: `n` in all, the shown ones most confident first."""

    label: str
    predicted: str
    n: int
    shown: tuple[Shown, ...]

    @property
    def n_shown(self) -> int:
        """How many of them are on the page."""
        return len(self.shown)


def mistakes(answers: Answers, limit: int) -> list[Mistaken]:
    """The `limit` most confident mistakes, by what was taken for what; the most frequent kind first."""
    rows = _ranked(answers, right=False, sign=-1)
    true, predicted = answers.true.tolist(), answers.predicted.tolist()
    n_by_kind = Counter((true[row], predicted[row]) for row in rows)
    kinds = sorted(n_by_kind, key=lambda kind: (-n_by_kind[kind], kind))
    shown = _shown(answers, rows[:limit])
    by_kind: dict[tuple[str, str], list[Shown]] = {}
    for entry in shown:
        by_kind.setdefault((entry.label, entry.predicted), []).append(entry)
    names = [(answers.classes[t], answers.classes[p], n_by_kind[t, p]) for t, p in kinds]
    return [Mistaken(t, p, n, tuple(by_kind[t, p])) for t, p, n in names if (t, p) in by_kind]


def least_sure(answers: Answers, limit: int) -> list[Shown]:
    """The right answers that the model was least sure of."""
    return _shown(answers, _ranked(answers, right=True, sign=1)[:limit])


def _ranked(answers: Answers, *, right: bool, sign: int) -> list[int]:
    """Positions among the answered photos, by confidence (sign -1: highest first), then by path."""
    rows: IntArray = np.flatnonzero((answers.true == answers.predicted) == right)
    # Photos are in the order of their paths, which a stable sort keeps among equals.
    ranked: list[int] = rows[np.argsort(sign * answers.confidence[rows], kind="stable")].tolist()
    return ranked


def _shown(answers: Answers, rows: Sequence[int]) -> list[Shown]:
    positions, predicted, confidence = answers.answered, answers.predicted, answers.confidence
    chosen = [answers.photos[positions[row]] for row in rows]
    with ThreadPoolExecutor(n_workers(0)) as pool:
        thumbnails = list(pool.map(_thumbnail, chosen))
    return [
        Shown(
            path=photo.path,
            label=answers.classes[photo.class_index],
            predicted=answers.classes[predicted[row]],
            confidence=float(confidence[row]),
            thumbnail=thumbnail,
        )
        for row, photo, thumbnail in zip(rows, chosen, thumbnails, strict=True)
    ]


def _thumbnail(photo: Photo) -> Thumbnail | None:
    try:
        return shrunk(labelled.read(photo), _THUMBNAIL_PX, _JPEG_QUALITY)
    except BadPhoto:
        return None
