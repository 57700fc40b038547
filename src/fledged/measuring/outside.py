"""Who answers from outside of this process: a served address, and the very zip that AWS Lambda is given.

Both are sent a photo's bytes, as their users send them, and answer in JSON.
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from fledged.contract import BackboneInfo, Preprocess
from fledged.errors import ProductError, RequestError
from fledged.interpreters import find_interpreter
from fledged.measuring.subject import Answered, Subject, of_bundle
from fledged.products import Bundle, Calibration, ClassScore, Package, Unknown
from fledged.serving.client import Client
from fledged.workspace import Workspace

# Reads events and writes answers, a line of JSON each; what libraries print goes elsewhere.
_PROGRAM = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from fledged.serving.function import handler
for line in sys.stdin:
    answers.write(json.dumps(handler(json.loads(line), None)) + "\\n")
    answers.flush()
"""


class _Version(BaseModel):
    """What an address tells of itself, as far as it is read: newer servers may tell more."""

    bundle_id: str
    run_id: str
    dataset_id: str


class _Model(BaseModel):
    classes: tuple[str, ...]
    preprocess: Preprocess
    backbone: BackboneInfo
    calibration: Calibration | None = None
    unknown: Unknown | None = None


class _Answer(BaseModel):
    top_k: tuple[ClassScore, ...]
    unknown_score: float | None = None


Told = TypeVar("Told", bound=BaseModel)


def served_at(address: str, *, sign: bool) -> Subject:
    """The model behind an address, by what it tells of itself. Raises DeployError, RequestError."""
    with contextlib.closing(Client(address, sign=sign)) as client:
        version = _read(_Version, client.get("/version", "bundle_id"), f"{address}/version")
        model = _read(_Model, client.get("/model", "classes"), f"{address}/model")
    classes = model.classes

    @contextlib.contextmanager
    def connect() -> Iterator[Callable[[bytes], Answered]]:
        # A connection serves one thread.
        own = threading.local()
        opened: list[Client] = []

        def ask(photo: bytes) -> Answered:
            if not hasattr(own, "client"):
                own.client = Client(address, sign=sign)
                opened.append(own.client)
            return _of_answer(own.client.classify(photo, len(classes)), classes, address)

        try:
            yield ask
        finally:
            for client in opened:
                client.close()

    return Subject(
        name=f"{address} bundle:{version.bundle_id}",
        classes=classes,
        preprocess=model.preprocess,
        run_id=version.run_id,
        dataset_id=version.dataset_id,
        backbone=model.backbone,
        load=_only_photos,
        file=None,
        calibration=model.calibration,
        unknown=model.unknown,
        connect=connect,
    )


def packed_in(package: Package, workspace: Workspace) -> Subject:
    """The function of a package, run as Lambda runs it: its own code, libraries and Python. Raises ProductError."""
    if package.bundle_url:
        raise ProductError(
            "The bundle of this package is in a bucket", where=package.id, remedy="Judge the address that serves it."
        )
    bundle = workspace.load(Bundle, package.bundle_id)
    archive = package.folder / "function.zip"

    @contextlib.contextmanager
    def connect() -> Iterator[Callable[[bytes], Answered]]:
        interpreter = find_interpreter(package.settings.python)
        if interpreter is None:
            raise ProductError(
                f"The function's Python {package.settings.python} is not on this machine",
                where=archive,
                remedy="Install it, or pack with --set deploy.python=… for one that is.",
            )
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
            command = [interpreter, "-c", _PROGRAM]
            environment = {"PYTHONPATH": folder, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
            with (
                tempfile.TemporaryFile() as log,
                subprocess.Popen(
                    command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                ) as process,
            ):
                assert process.stdin is not None
                assert process.stdout is not None
                # One request at a time, as in Lambda.
                lock, way = threading.Lock(), (process.stdin, process.stdout)

                def ask(photo: bytes) -> Answered:
                    with lock:
                        told = _asked(way, _event(photo, len(bundle.classes)), log, archive)
                    return _of_answer(told, bundle.classes, archive)

                try:
                    yield ask
                finally:
                    # It ends with its last line; one that has ended cannot take what is still on its way.
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.close()

    return replace(
        of_bundle(bundle),
        name=f"package:{package.id}",
        load=_only_photos,
        load_scored=None,
        file=archive,
        connect=connect,
    )


def _only_photos() -> Any:
    raise ProductError("A served model cannot be looked into", remedy="Name the run or the bundle that it was made of.")


def _event(photo: bytes, top_k: int) -> dict[str, Any]:
    """As a function URL makes it (payload format 2.0), with no more than the handler looks at."""
    return {
        "version": "2.0",
        "rawPath": "/classify",
        "rawQueryString": f"top_k={top_k}",
        "headers": {"host": "localhost", "content-type": "application/octet-stream"},
        "requestContext": {"http": {"method": "POST", "path": "/classify", "sourceIp": "127.0.0.1"}},
        "body": base64.b64encode(photo).decode(),
        "isBase64Encoded": True,
    }


def _asked(way: tuple[IO[bytes], IO[bytes]], event: dict[str, Any], log: IO[bytes], where: Path) -> dict[str, Any]:
    try:
        way[0].write(json.dumps(event).encode() + b"\n")
        way[0].flush()
        line = way[1].readline()
    except BrokenPipeError:
        line = b""
    if not line:
        log.seek(0)
        last = log.read().decode(errors="replace").strip().splitlines()[-1:]
        raise ProductError(f"The function ended: {last[0] if last else 'without a word'}", where=where)
    answer = json.loads(line)
    told: dict[str, Any] = json.loads(answer["body"])
    if answer["statusCode"] != 200:
        raise RequestError(told.get("error", "no answer"), status=answer["statusCode"], where=where)
    return told


def _of_answer(told: dict[str, Any], classes: tuple[str, ...], where: str | Path) -> Answered:
    """By the names of the classes, whatever their order."""
    answer = _read(_Answer, told, where)
    scores = {entry.label: entry.score for entry in answer.top_k}
    if set(scores) != set(classes):
        raise ProductError("It answers with other classes than it says it has", where=where)
    return [scores[label] for label in classes], answer.unknown_score or 0.0


def _read(kind: type[Told], told: dict[str, Any], where: str | Path) -> Told:
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        remedy = "Name the address of a model that fledged serves, of this version."
        raise ProductError(
            f"This is no answer of fledged's: {field}: {first['msg']}", where=where, remedy=remedy
        ) from error
