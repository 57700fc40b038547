"""What people say of the answers, kept for the review: the photo by its content, and a line. Off unless asked for.

Nothing that a client says is believed: the photo is decoded and answered anew as any other, and the class must be one
of the bundle's. That what is said is true is for a person to say.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fledged.errors import ConfigError, RequestError, WorkspaceError
from fledged.feedback import LOG, PHOTOS, UNKNOWN, Feedback
from fledged.predicting.predictor import Predictor
from fledged.products import Prediction
from fledged.serving.line import Line
from fledged.serving.uploads import photos_in, read_body
from fledged.settings.feedback import FeedbackConfig
from fledged.workspace import now
from fledged.writing import disk_errors, make_folder, sync_folder, write_bytes

_HOW = "Say what is on it: curl -F file=@photo.jpg 'URL/feedback?label=CLASS'; `unknown` is none of the classes."
# For people who look into the folder; what a photo is, is found out when it is collected.
_EXTENSIONS = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\0": "tif",
    b"MM\0*": "tif",
}


class FeedbackLog:
    """A folder of photos and of what was said about them, up to `max_bytes`; one process writes to it."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        try:
            make_folder(folder / PHOTOS)
            with (folder / LOG).open("ab"):
                pass
            sync_folder(folder)
            self._n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        except OSError as error:
            remedy = "Let --feedback name a folder that this server may write to."
            raise ConfigError(f"Cannot keep feedback: {error.strerror}", where=folder, remedy=remedy) from error

    def add(self, photo: bytes, said: str, prediction: Prediction) -> Feedback:
        """Keep the photo, unless it is there, and then the line. Raises RequestError (507) where there is no room."""
        sha256 = hashlib.sha256(photo).hexdigest()
        feedback = Feedback(
            time=now().isoformat().replace("+00:00", "Z"),
            sha256=sha256,
            said=said,
            answered=prediction.label if prediction.accepted else UNKNOWN,
            confidence=prediction.confidence,
            bundle_id=prediction.bundle_id,
        )
        path = self._folder / PHOTOS / f"{sha256}.{_extension(photo)}"
        with self._lock:
            new = b"" if path.exists() else photo
            line = feedback.line()
            if self._n_bytes + len(new) + len(line) > self._max_bytes:
                raise _no_room("This server keeps no more feedback")
            try:
                if new:
                    write_bytes(path, new)
                self._append(line)
            except WorkspaceError as error:
                raise _no_room("This server cannot keep feedback") from error
            self._n_bytes += len(new) + len(line)
        return feedback

    def _append(self, line: bytes) -> None:
        log = self._folder / LOG
        with disk_errors(log), log.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                # What a crash cut off stays a line of its own, which readers leave out.
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            os.fsync(file.fileno())


def feedback_routes(
    predictor: Callable[[], Predictor], config: FeedbackConfig, line: Line, max_bytes: int
) -> list[Route]:
    """POST /feedback, where there is a folder for it. Raises ConfigError where that cannot be written to."""
    if not config.folder:
        return []
    log = FeedbackLog(Path(config.folder).expanduser(), int(config.max_megabytes * 2**20))

    async def feedback(request: Request) -> Response:
        said = _said(request, predictor())
        await line.check()
        body = await read_body(request, max_bytes)
        content_type = request.headers.get("content-type", "")
        return await line.run(lambda: _keep(log, predictor(), body, content_type, said))

    return [Route("/feedback", feedback, methods=["POST"])]


def _said(request: Request, predictor: Predictor) -> str:
    said = request.query_params.get("label", "")
    if not said:
        raise RequestError("`label` is missing", status=400, remedy=_HOW)
    if said not in {*predictor.bundle.classes, UNKNOWN}:
        raise RequestError("`label` is none of this model's classes", status=404, remedy=_HOW)
    return said


def _keep(log: FeedbackLog, predictor: Predictor, body: bytes, content_type: str, said: str) -> Response:
    """Runs in a thread: takes the request apart, decodes and infers; what is no photo is refused as by /classify."""
    uploads = photos_in(body, content_type)
    if len(uploads) != 1:
        raise RequestError("Feedback is about one photo at a time", status=400, remedy=_HOW)
    data = uploads[0].data
    kept = log.add(data, said, predictor.predict(data, 1))
    return JSONResponse(kept.model_dump(mode="json", include={"sha256", "said", "answered"}), 201)


def _extension(photo: bytes) -> str:
    if photo[:4] == b"RIFF":
        return "webp"
    if photo[4:8] == b"ftyp":
        return "avif" if photo[8:12] in (b"avif", b"avis") else "heic"
    return next((name for magic, name in _EXTENSIONS.items() if photo.startswith(magic)), "photo")


def _no_room(what: str) -> RequestError:
    return RequestError(what, status=507, remedy="Tell whoever runs it: serve.feedback.folder is full.")
