"""What a model says about photos: their original files through the pixel path of serving, in batches, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged import engine, images
from fledged.engine import LOCAL, Engine, n_workers
from fledged.errors import ProductError, RequestError
from fledged.images import BadPhoto, UInt8Array
from fledged.measuring import photos as labelled
from fledged.measuring.metrics import IntArray
from fledged.measuring.photos import Photo
from fledged.measuring.subject import Answered, Ask, Float32Array, Scored, Subject
from fledged.products import Preprocess, Unknown
from fledged.progress import Report, silent
from fledged.settings.results import EvaluateConfig

# What a server answers to a photo that it cannot take: empty, too large, not one, or broken.
_OF_THE_PHOTO = (400, 413, 415, 422)


@dataclass(frozen=True, slots=True)
class Answers:
    """An answer a photo; N photos, C classes."""

    photos: Sequence[Photo]
    classes: tuple[str, ...]
    probabilities_NC: Float32Array  # NaN where a photo could not be answered
    errors: tuple[str | None, ...]  # why not
    unknown: Unknown | None = None
    scores_N: Float32Array | None = None  # how far from all classes, NaN where not answered; None without `unknown`

    @property
    def accepted(self) -> npt.NDArray[np.bool_]:
        """Whether each of the answered photos is taken for one of the classes."""
        if self.unknown is None or self.scores_N is None:
            return np.ones(len(self.answered), dtype=np.bool_)
        accepted: npt.NDArray[np.bool_] = self.scores_N[self.answered] <= self.unknown.threshold
        return accepted

    @property
    def answered(self) -> IntArray:
        """Positions of the photos that were answered."""
        return np.array([i for i, error in enumerate(self.errors) if error is None], dtype=np.int64)

    @property
    def true(self) -> IntArray:
        """Class indices that people gave, of the answered photos."""
        return np.array([self.photos[i].class_index for i in self.answered], dtype=np.int64)

    @property
    def predicted(self) -> IntArray:
        """Class indices that the model gave, of the answered photos."""
        predicted: IntArray = np.argmax(self.probabilities_NC[self.answered], axis=1).astype(np.int64)
        return predicted

    @property
    def confidence(self) -> Float32Array:
        """The model's probability of what it predicted, of the answered photos."""
        confidence: Float32Array = self.probabilities_NC[self.answered].max(axis=1)
        return confidence

    @property
    def groups(self) -> list[str]:
        """Names of the groups of alike photos, of the answered photos; a photo that is alone is one by its path."""
        return [self.photos[i].group or f"alone {self.photos[i].path}" for i in self.answered]

    def table(self) -> pl.DataFrame:
        """A row a photo, as `Report.predictions` says."""
        predicted: list[str | None] = [None] * len(self.photos)
        confidence: list[float | None] = [None] * len(self.photos)
        for i, index, sure in zip(
            self.answered.tolist(), self.predicted.tolist(), self.confidence.tolist(), strict=True
        ):
            predicted[i], confidence[i] = self.classes[index], sure
        columns = {
            "path": pl.Series([photo.path for photo in self.photos], dtype=pl.String),
            "label": pl.Series([self.classes[photo.class_index] for photo in self.photos], dtype=pl.String),
            "predicted": pl.Series(predicted, dtype=pl.String),
            "confidence": pl.Series(confidence, dtype=pl.Float32),
        }
        if self.scores_N is not None:
            accepted = np.full(len(self.photos), None)
            accepted[self.answered] = self.accepted.tolist()
            columns["unknown_score"] = pl.Series(self.scores_N).fill_nan(None)
            columns["accepted"] = pl.Series(accepted.tolist(), dtype=pl.Boolean)
        for index, label in enumerate(self.classes):
            columns[f"p_{label}"] = pl.Series(self.probabilities_NC[:, index]).fill_nan(None)
        return pl.DataFrame({**columns, "error": pl.Series(self.errors, dtype=pl.String)})


def answer(
    photos: Sequence[Photo], subject: Subject, config: EvaluateConfig, report: Report, on: Engine = LOCAL
) -> Answers:
    """The model's answers, in the order of `photos`. A photo that cannot be read is a row with the reason.

    `on` says who decodes; the model itself runs in this process, so that its answers are the same. Raises ProductError
    if the model answers with something that is not a probability.
    """
    if subject.connect is not None:
        return _from_outside(photos, subject, subject.connect, config, report)
    n_classes = len(subject.classes)
    scored = subject.load_scored() if subject.load_scored else _unscored(subject)
    probabilities_NC = np.full((len(photos), n_classes), np.nan, dtype=np.float32)
    scores_N = np.full(len(photos), np.nan, dtype=np.float32)
    errors: list[str | None] = [None] * len(photos)
    waiting: list[tuple[int, UInt8Array]] = []
    asked: deque[tuple[list[int], Future[tuple[Float32Array, Float32Array]]]] = deque()

    def settle(most: int) -> None:
        while len(asked) > most:
            rows, coming = asked.popleft()
            probabilities_NC[rows], scores_N[rows] = coming.result()
            report("Evaluating", rows[-1] + 1, len(photos))

    report("Evaluating", 0, len(photos))
    with _streams(subject, config) as (pool, n_at_once):
        for i, outcome in enumerate(_decoded(photos, subject.preprocess, config, on)):
            if isinstance(outcome, str):
                errors[i] = outcome
            else:
                waiting.append((i, outcome))
            if waiting and (len(waiting) == config.batch_size or i == len(photos) - 1):
                batch_NHWC = np.stack([picture for _, picture in waiting])
                asked.append(([i for i, _ in waiting], pool.submit(_asked, scored, batch_NHWC, n_classes)))
                waiting = []
                settle(n_at_once)
        settle(0)
    report("Evaluating", len(photos), len(photos))
    known = scores_N if subject.load_scored else None
    return Answers(photos, subject.classes, probabilities_NC, tuple(errors), subject.unknown, known)


@contextmanager
def _streams(subject: Subject, config: EvaluateConfig) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads that ask the model, and how many there are: of a network in torch one a core, each on that core alone.

    So cores do not wait for each other, and sums are added up in the same order on every machine.
    """
    if subject.run is None:
        with ThreadPoolExecutor(1) as pool:  # onnxruntime shares a batch out among cores by itself
            yield pool, 1
        return
    from fledged.networks.inference import one_core, usual_cores

    n_at_once = n_workers(config.workers)
    with usual_cores(), ThreadPoolExecutor(n_at_once, initializer=one_core) as pool:
        yield pool, n_at_once


def _from_outside(
    photos: Sequence[Photo],
    subject: Subject,
    connect: Callable[[], AbstractContextManager[Ask]],
    config: EvaluateConfig,
    report: Report,
) -> Answers:
    """The same, of who takes photos and not model inputs: each file goes as it is."""
    probabilities_NC = np.full((len(photos), len(subject.classes)), np.nan, dtype=np.float32)
    scores_N = np.full(len(photos), np.nan, dtype=np.float32)
    errors: list[str | None] = [None] * len(photos)

    def asked(photo: Photo) -> Answered | str:
        try:
            return ask(labelled.read(photo))
        except BadPhoto as reason:
            return str(reason)
        except RequestError as refusal:
            if refusal.status not in _OF_THE_PHOTO:
                raise  # of the server, or of who asks: it says nothing about the photo
            return refusal.what

    report("Evaluating", 0, len(photos))
    with connect() as ask, ThreadPoolExecutor(n_workers(config.workers)) as pool:
        for i, outcome in enumerate(pool.map(asked, photos)):
            if isinstance(outcome, str):
                errors[i] = outcome
            else:
                probabilities_NC[i], scores_N[i] = outcome
            report("Evaluating", i + 1, len(photos))
    known = scores_N if subject.unknown else None
    return Answers(photos, subject.classes, probabilities_NC, tuple(errors), subject.unknown, known)


def _unscored(subject: Subject) -> Scored:
    """A model without a score for unknown photos, as one whose scores are all 0."""
    probabilities = subject.load()
    return lambda batch_NHWC: (probabilities(batch_NHWC), np.zeros(len(batch_NHWC), dtype=np.float32))


def _asked(scored: Scored, batch_NHWC: UInt8Array, n_classes: int) -> tuple[Float32Array, Float32Array]:
    answers_NC, scores_N = (np.asarray(each, dtype=np.float32) for each in scored(batch_NHWC))
    wanted = (len(batch_NHWC), n_classes)
    if answers_NC.shape != wanted:
        raise ValueError(f"the model answered with the shape {answers_NC.shape}, not {wanted}")
    if not (np.isfinite(answers_NC).all() and np.isfinite(scores_N).all()):
        raise ProductError(
            "The model answers with something that is not a number",
            remedy="Its weights are damaged or its training diverged: train it again.",
        )
    return answers_NC, scores_N


def _decoded(
    photos: Sequence[Photo], how: Preprocess, config: EvaluateConfig, on: Engine
) -> Iterator[UInt8Array | str]:
    """Model inputs or reasons, in order; only as many wait in memory as keep model and decoders busy."""
    if not on.is_here:
        decode = partial(_model_input, how=how)
        yield from engine.map_photos(decode, photos, _crashed, on, "Evaluating", silent)
        return
    workers = n_workers(config.workers)
    upcoming = iter(photos)
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[UInt8Array | str]] = deque()
        for photo in islice(upcoming, config.batch_size + 2 * workers):
            ahead.append(pool.submit(_model_input, photo, how))
        while ahead:
            outcome = ahead.popleft().result()
            if (photo_or_none := next(upcoming, None)) is not None:
                ahead.append(pool.submit(_model_input, photo_or_none, how))
            yield outcome


def _crashed(photo: Photo) -> str:
    return "its decoder crashed"


def _model_input(photo: Photo, how: Preprocess) -> UInt8Array | str:
    try:
        return images.model_input(labelled.read(photo), how)
    except BadPhoto as reason:
        return str(reason)
