"""The door: does this bundle answer here as it did when it was exported, and how good is it on these photos?

Needs no torch and no lake: a bundle carries drawn photos with its answers, and knows its test photos by their content.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import onnxruntime

from fledged import images, progress
from fledged.contract import KnownPhoto, Reference
from fledged.intervals import wilson
from fledged.measured import Figure
from fledged.predicting.files import find_photos
from fledged.predicting.predictor import Predictor, load
from fledged.products import Bundle, Prediction
from fledged.reading import read
from fledged.records import Record
from fledged.workspace import DEFAULT


class Verification(Record):
    """How a bundle answers here, beside what it answered when it was exported."""

    bundle_id: str
    runtime: str  # that was asked
    limit: float | None  # by which a probability may differ; None: the bundle keeps no answers to compare with
    n_drawn: int  # photos that it carries
    drawn_difference: float | None  # the largest of any probability
    n_photos: int  # that were given and answered
    n_unreadable: int
    n_known: int  # of them are test photos, by their content
    n_known_same_label: int
    known_difference: float | None  # the largest, of the probability of what was answered then
    accuracy: Figure | None  # on photos in folders named like classes; None without any
    accuracy_at_export: Figure

    @property
    def is_same(self) -> bool:
        """No difference beyond the limit was seen."""
        seen = [each for each in (self.drawn_difference, self.known_difference) if each is not None]
        return all(each <= (self.limit or 0.0) for each in seen)


def verify(
    bundle: Bundle | str | os.PathLike[str] | None = None,
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
) -> Verification:
    """Whether the bundle is whole, and answers on this machine as it did when it was exported.

    `photos`: files, and folders of photos. Test photos among them are known by their content; those in folders named
    like classes give an accuracy. Raises ProductError where a file of the bundle is not what was written.
    """
    predictor = load(bundle, work=work)
    known = predictor.bundle.reference()
    given = [photos] if isinstance(photos, str | os.PathLike) else list(photos)
    seen = _Seen(predictor, known)
    if given:
        seen.look(find_photos(given), report or progress.default())
    return Verification(
        bundle_id=predictor.bundle.id,
        runtime=f"onnxruntime {onnxruntime.__version__} on {platform.system()} {platform.machine()}",
        limit=known.limit if known else None,
        n_drawn=len(known.drawn) if known else 0,
        drawn_difference=_of_drawn(predictor, known) if known else None,
        n_photos=seen.n_photos,
        n_unreadable=seen.n_unreadable,
        n_known=len(seen.differences),
        n_known_same_label=seen.n_same_label,
        known_difference=max(seen.differences, default=None),
        accuracy=wilson(seen.n_right, seen.n_labelled) if seen.n_labelled else None,
        accuracy_at_export=predictor.bundle.accuracy,
    )


def verification_lines(done: Verification) -> list[str]:
    """In words, for the terminal."""
    told = [f"Bundle {done.bundle_id}: its files are whole (sha256); asked with {done.runtime}"]
    if done.limit is None:
        told.append("It is of before bundles kept their own answers, so these cannot be compared")
    else:
        told.append(f"{done.n_drawn} drawn photos that it carries: {_differ(done.drawn_difference, done.limit)}")
    if done.known_difference is not None and done.limit is not None:
        told.append(
            f"{done.n_known:,} of your photos are its test photos: {done.n_known_same_label:,} have the label of then; "
            f"{_differ(done.known_difference, done.limit)}"
        )
    if done.accuracy:
        now, then = done.accuracy, done.accuracy_at_export
        told.append(
            f"On {now.n:,} labelled photos {now.value:.1%} are right ({now.low:.1%} to {now.high:.1%}, 95% interval); "
            f"when it was judged, {then.value:.1%} of {then.n:,} ({then.low:.1%} to {then.high:.1%})"
        )
    if done.n_unreadable:
        told.append(f"{done.n_unreadable:,} photos could not be read: fledged predict says why")
    if done.limit is not None:
        told.append(
            "It answers as it did when it was exported"
            if done.is_same
            else "It does NOT answer as it did when it was exported: do not trust its figures here. Take the "
            "onnxruntime that it was exported with, or export it again on this machine"
        )
    return told


def _differ(most: float | None, limit: float) -> str:
    return f"probabilities differ by {most or 0:.1e} at most (limit {limit:g})"


def _of_drawn(predictor: Predictor, known: Reference) -> float:
    how = predictor.bundle.preprocess
    photos_NHWC = np.stack([images.model_input(drawn.jpeg, how) for drawn in known.drawn])
    expected_NC = np.array([drawn.probabilities for drawn in known.drawn])
    return float(np.abs(predictor.probabilities(photos_NHWC) - expected_NC).max())


class _Seen:
    """What is counted while photos are answered."""

    def __init__(self, predictor: Predictor, known: Reference | None) -> None:
        self.predictor = predictor
        self.known = {photo.sha256: photo for photo in known.photos} if known else {}
        self.differences: list[float] = []
        self.n_photos = self.n_unreadable = self.n_same_label = self.n_labelled = self.n_right = 0

    def look(self, paths: Sequence[str], report: progress.Report) -> None:
        classes = self.predictor.bundle.classes
        for path, answer in self.predictor.predict_many(paths, top_k=len(classes), report=report):
            if not isinstance(answer, Prediction):
                self.n_unreadable += 1
                continue
            self.n_photos += 1
            label = PurePosixPath(path).parent.name
            if label in classes:
                self.n_labelled += 1
                self.n_right += answer.label == label
            if self.known and (then := self.known.get(hashlib.sha256(read(os.fspath(path))).hexdigest())) is not None:
                self._compare(answer, then, classes[then.class_index])

    def _compare(self, answer: Prediction, then: KnownPhoto, label: str) -> None:
        self.differences.append(abs(answer.class_scores[label] - then.confidence))
        self.n_same_label += answer.label == label
