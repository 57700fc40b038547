"""A bundle opened for answering: the same answers for a file, a folder, an HTTP request or a Lambda event.

ONNX Runtime, NumPy and Pillow only. Shapes: N photos, S = `Preprocess.size_px`, C classes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from fledged import images, onnx_sessions, rgb
from fledged.engine import n_workers
from fledged.errors import ProductError, RequestError
from fledged.images import UInt8Array
from fledged.mirror import cache_folder
from fledged.places import looks_remote, resolved
from fledged.predicting import objects
from fledged.predicting.batches import Batches
from fledged.predicting.files import read
from fledged.predicting.many import Read, answer_many
from fledged.predicting.operators import ENDLESS, operators
from fledged.predicting.sessions import Session, Sessions
from fledged.product_files import open_place, open_product
from fledged.products import Bundle, ClassScore, Failure, Prediction, Preprocess
from fledged.progress import Report, silent, track
from fledged.reading import spots
from fledged.rows import Rows
from fledged.settings.serving import BatchConfig
from fledged.spreading.jobs import Job
from fledged.workspace import DEFAULT, Workspace

Float32Array = npt.NDArray[np.float32]
Photo = str | os.PathLike[str] | bytes | Image.Image | UInt8Array
Decode = Callable[[bytes, Preprocess], UInt8Array]  # raises BadPhoto

MODEL = "model.onnx"
TOP_K = 5
_ONE_BY_ONE = BatchConfig()

_FORMATS = "Send a JPEG, PNG, WebP, GIF, BMP, PPM, TIFF, AVIF or HEIC photo."


class Predictor:
    """Answers photos with one bundle. Any number of threads may call it at once."""

    def __init__(self, bundle: Bundle, session: Session, decode: Decode = images.model_input) -> None:
        self.bundle = bundle
        self.is_warm = False
        self._session = session
        self._decode_bytes = decode

    def warm_up(self) -> None:
        """Run the model once, as it will be run; only then is the predictor ready. Raises ProductError."""
        side, n_classes = self.bundle.preprocess.size_px, len(self.bundle.classes)
        try:
            answer, score = self.scored(np.zeros((1, side, side, 3), np.uint8))
        except Exception as error:  # ONNX Runtime raises types of its own that share no base
            raise _unusable(self.bundle, "cannot run") from error
        if (answer.shape, score.shape) != ((1, n_classes), (1,)):
            shapes = f"{answer.shape} and {score.shape}"
            raise _unusable(self.bundle, f"answers with shape {shapes} where the bundle names {n_classes} classes")
        self.is_warm = True

    def probabilities(self, batch: UInt8Array) -> Float32Array:
        """Probabilities (N, C) of model inputs (N, S, S, 3); `images.model_input` makes one of a photo's bytes."""
        return self.scored(batch)[0]

    def scored(self, batch: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Probabilities (N, C), and unknown scores (N,), which are 0 where an older bundle has none."""
        if self.bundle.unknown is None:
            return self._session.run(["probabilities"], {"photos": batch})[0], np.zeros(len(batch), np.float32)
        probabilities_NC, scores_N = self._session.run(["probabilities", "unknown_score"], {"photos": batch})
        return probabilities_NC, scores_N

    def explained(self, batch: UInt8Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """As `scored`, and heatmaps (N, rows, columns) of each top class: 0..1. Only of a bundle that has them."""
        names = ["probabilities", "heatmap"] + ["unknown_score"] * (self.bundle.unknown is not None)
        probabilities_NC, heat_NHW, *scores = self._session.run(names, {"photos": batch})
        return probabilities_NC, scores[0] if scores else np.zeros(len(batch), np.float32), heat_NHW

    def predict(self, photo: Photo, top_k: int = TOP_K, *, explain: bool = False) -> Prediction:
        """The answer for a file, its bytes, a Pillow picture or an RGB array (height, width, 3).

        With `explain` there is a heatmap of the top class as well, if the model can make one.

        Pictures and arrays are taken as they are. A large JPEG file is decoded at a reduced size, so its answer may
        differ in the last digits from that of the same file opened by the caller. Raises RequestError.
        """
        start_s = time.perf_counter()
        square = self._square(photo)
        batch = square[np.newaxis]
        heat_1HW = None
        if explain and self.bundle.heatmap_cells is not None:
            probabilities_1C, scores_1, heat_1HW = self.explained(batch)
        else:
            probabilities_1C, scores_1 = self.scored(batch)
        answer = self._prediction(probabilities_1C[0], float(scores_1[0]), top_k, time.perf_counter() - start_s)
        if heat_1HW is None:
            return answer
        rows = tuple(tuple(row) for row in heat_1HW[0].astype(float).round(4).tolist())
        return answer.model_copy(update={"heatmap": rows})

    def predict_many(
        self, paths: Iterable[str | os.PathLike[str]], top_k: int = TOP_K, report: Report = silent
    ) -> Iterator[tuple[Path | str, Prediction | Failure]]:
        """Each path or address with its answer, in order; a photo that cannot be answered is a Failure.

        A batch a core at a time, with no more than a few in memory; fastest where `load` was given `threads=1`. A
        batch is summed in another order than a single photo, so scores equal those of `predict` to about 1e-6, not bit
        by bit.
        """
        files = list(paths)

        def part(start: int, stop: int) -> list[tuple[Path | str, Read]]:
            some = [os.fspath(path) if looks_remote(path) else Path(path) for path in files[start:stop]]
            return [(file, partial(read, spot)) for file, spot in zip(some, spots([*map(str, some)]), strict=True)]

        asked = Rows(len(files), part)
        report("Predicting", 0, len(files))
        yield from track(answer_many(self, asked, top_k), "Predicting", len(files), report)

    def predict_batch(self, photos: Sequence[Read], top_k: int = TOP_K) -> list[Prediction | Failure]:
        """The answers for a few photos that go through the model together, each read when its turn has come."""
        decoded = [self._decode(photo) for photo in photos]
        squares = [square for square, _ in decoded if not isinstance(square, Failure)]
        start_s = time.perf_counter()
        rows = iter(zip(*self.scored(np.stack(squares)), strict=True) if squares else ())
        share_s = (time.perf_counter() - start_s) / max(1, len(squares))
        answers: list[Prediction | Failure] = []
        for square, decode_s in decoded:
            if isinstance(square, Failure):
                answers.append(square)
            else:
                row, score = next(rows)
                answers.append(self._prediction(row, float(score), top_k, decode_s + share_s))
        return answers

    def job(self, top_k: int) -> Job[Read, Prediction | Failure]:
        """What other processes need to answer as this one does."""
        from fledged.predicting.elsewhere import Answering

        return Answering(self.bundle, model_of(self.bundle), self._decode_bytes, top_k)

    def _decode(self, photo: Read) -> tuple[UInt8Array | Failure, float]:
        """The model's input, or why there is none, and how long it took."""
        start_s = time.perf_counter()
        try:
            square: UInt8Array | Failure = self._square(photo())
        except RequestError as error:
            square = Failure(error=error.what, remedy=error.remedy)
        return square, time.perf_counter() - start_s

    def _square(self, photo: Photo) -> UInt8Array:
        how = self.bundle.preprocess
        if isinstance(photo, Image.Image):
            return images.to_square(rgb.upright_rgb(photo), how)
        if isinstance(photo, np.ndarray):
            if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
                raise ValueError(f"an array must be uint8 (height, width, 3), not {photo.dtype} {photo.shape}")
            return images.to_square(Image.fromarray(photo), how)
        where = None if isinstance(photo, bytes) else photo
        data = photo if isinstance(photo, bytes) else read(photo)
        if not data:
            raise RequestError("This file is empty", status=400, where=where, remedy="Send the photo again.")
        try:
            return self._decode_bytes(data, how)
        except images.NotAPhoto as error:
            raise RequestError(f"This is {error}", status=415, where=where, remedy=_FORMATS) from error
        except images.BadPhoto as error:
            remedy = "Send it again, or a smaller copy saved anew with an image editor."
            raise RequestError(f"This photo cannot be read: {error}", status=422, where=where, remedy=remedy) from error

    def _prediction(self, row: Float32Array, score: float, top_k: int, seconds: float) -> Prediction:
        order = np.argsort(-row, kind="stable")[:top_k]
        top = tuple(ClassScore(label=self.bundle.classes[index], score=float(row[index])) for index in order)
        unknown = self.bundle.unknown
        return Prediction(
            label=top[0].label,
            confidence=top[0].score,
            top_k=top,
            bundle_id=self.bundle.id,
            seconds=seconds,
            accepted=unknown is None or unknown.accepts(score),
            unknown_score=None if unknown is None else score,
        )


def load(
    bundle: Bundle | str | os.PathLike[str] | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    threads: int = 0,
    decode: Decode = images.model_input,
    in_crowds: bool = False,
    batch: BatchConfig = _ONE_BY_ONE,
) -> Predictor:
    """Opens a bundle, its files verified, and runs it once. None takes the newest of the working folder.

    `bundle` may be a bundle, a folder with a `bundle.json`, or an id. `threads` are those of one inference; 0 takes
    one a core; `decode` is what makes a model input of a photo's bytes; `in_crowds` and `batch` are for servers, which
    answer several at a time. Raises ProductError.
    """
    opened = _open(bundle, work)
    model = model_of(opened)
    session: Session = session_of(opened, model, n_workers(threads))
    if batch.max_photos > 1:
        session = Batches(session, batch.max_photos, batch.max_wait_ms / 1e3)
    elif in_crowds and n_workers(threads) > 1:
        session = Sessions(session, session_of(opened, model, 1))
    predictor = Predictor(opened, session, decode)
    predictor.warm_up()
    return predictor


def _open(bundle: Bundle | str | os.PathLike[str] | None, work: str | os.PathLike[str]) -> Bundle:
    if isinstance(bundle, Bundle):
        return open_product(Bundle, bundle.folder)
    if bundle is None:
        return Workspace(work).load(Bundle)
    if looks_remote(bundle):
        url = resolved(bundle)
        return objects.opened(url, cache_folder() / "zips") if url.endswith(".zip") else open_place(Bundle, url)
    folder = Path(bundle)
    is_path = not isinstance(bundle, str) or folder.name != bundle or (folder / "bundle.json").exists()
    return open_product(Bundle, folder) if is_path else Workspace(work).load(Bundle, str(bundle))


def model_of(bundle: Bundle) -> bytes:
    """The bundle's ONNX model. Raises ProductError if it is missing."""
    try:
        return (bundle.folder / MODEL).read_bytes()
    except OSError as error:
        raise _unusable(bundle, "is missing") from error


def session_of(bundle: Bundle, model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """The model, opened. Raises ProductError if it is not the bundle's."""
    # The bytes that are run are the bytes that were hashed, whatever happens to the file in between.
    if hashlib.sha256(model).hexdigest() != bundle.files.get(MODEL):
        raise _unusable(bundle, "is not what was exported (sha256 differs)")
    try:
        endless = ENDLESS.intersection(operators(model))
    except ValueError as error:
        raise _unusable(bundle, "cannot be opened") from error
    if endless:
        raise _unusable(bundle, f"has an operator that may never end: {', '.join(sorted(endless))}")
    options = onnx_sessions.options(threads, integers=bundle.precision == "int8")
    # A model of bytes looks for external weights in the current folder, even in `../`; nothing lies in the null device.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises types of its own that share no base
        raise _unusable(bundle, "cannot be opened") from error
    return session


def _unusable(bundle: Bundle, what: str) -> ProductError:
    return ProductError(
        f"The model of bundle {bundle.id} {what}",
        where=bundle.folder / MODEL,
        remedy="Make the bundle again with: fledged export",
    )
