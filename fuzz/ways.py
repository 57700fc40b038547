"""One photo on the four ways that photos come in: scan, predict, the server's decoders, AWS Lambda."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fledged import images
from fledged.errors import RequestError
from fledged.predicting.predictor import Predictor, load
from fledged.scanning.probe import probe
from fledged.serving.decoding import decoders
from fledged.settings.lake import ScanConfig
from fledged.settings.serving import DecodeConfig
from tests.bundles import make_tiny_bundle
from tests.events import event
from tests.serving.photos import GREY

Handler = Callable[[Any, Any], Any]

LIMIT_S = 5.0
LIMIT_MB = 512.0
# What a function may be sent; a larger photo is refused there for its size alone.
LAMBDA_BYTES = 4 * 10**6


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether each way took the photo for good, and the longest that one of them needed."""

    is_good: dict[str, bool]
    seconds: float
    words: dict[str, str]  # why not

    @property
    def is_agreed(self) -> bool:
        """Whether all ways say the same."""
        return len(set(self.is_good.values())) == 1


class Ways:
    """The four ways, open."""

    def __init__(self, folder: Path, predictor: Predictor, server: Predictor, handler: Handler) -> None:
        self._file = folder / "photo"
        self._ways: dict[str, Callable[[bytes], str]] = {
            "scan": self._scan,
            "predict": lambda data: _refusal(predictor, data),
            "server": lambda data: _refusal(server, data),
            "lambda": lambda data: _lambda_refusal(handler, data),
        }

    def ask(self, data: bytes) -> Answer:
        """What each of them says of the photo. Whatever they raise is a defect, and goes on to the caller."""
        if data == os.environ.get("FLEDGED_FUZZ_CRASH", "").encode() != b"":
            os.abort()  # so that a test can see a crash being found
        words, slowest_s = {}, 0.0
        for name, way in self._ways.items():
            if name == "lambda" and len(data) > LAMBDA_BYTES:
                continue
            start_s = time.perf_counter()
            words[name] = way(data)
            slowest_s = max(slowest_s, time.perf_counter() - start_s)
        return Answer({name: not why for name, why in words.items()}, slowest_s, words)

    def _scan(self, data: bytes) -> str:
        self._file.write_bytes(data)
        limits = ScanConfig()
        return probe(str(self._file), int(limits.max_megapixels * 1e6), images.MAX_BYTES).error or ""


def _refusal(predictor: Predictor, data: bytes) -> str:
    try:
        predictor.predict(data)
    except RequestError as error:
        return str(error)
    return ""


def _lambda_refusal(handler: Callable[[Any, Any], Any], data: bytes) -> str:
    answer = handler(event("url", "POST", "/classify", data, {"content-type": "image/jpeg"}), None)
    if answer["statusCode"] not in (200, 400, 413, 415, 422):
        raise AssertionError(f"answered {answer['statusCode']}: {answer['body'][:300]}")
    return "" if answer["statusCode"] == 200 else str(answer["body"])


@contextmanager
def all_ways(folder: Path) -> Iterator[Ways]:
    """The four ways, with a model that tells colours apart."""
    bundle = make_tiny_bundle(folder / "work")
    os.environ["FLEDGED_BUNDLE"] = str(bundle.folder)
    # A line of the function's log for each photo.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        module = importlib.reload(importlib.import_module("fledged.serving.function"))
        with decoders(DecodeConfig(timeout_s=2 * LIMIT_S)) as pool:
            assert pool is not None
            ways = Ways(folder, load(bundle), load(bundle, decode=pool.decode), module.handler)
            ways.ask(GREY)  # the first photo waits for processes to start
            yield ways


def memory_mb() -> dict[str, float]:
    """The most that this process and any of the server's decoders, which are its children, have held so far.

    getrusage would tell that of the process that started it too.
    """
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    of_decoders = [_held_mb(child) for child in children.read_text().split()] if children.exists() else []
    return {"here": _held_mb("self"), "a decoder": max(of_decoders, default=0.0)}


def _held_mb(process: str) -> float:
    """0 for one that is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
