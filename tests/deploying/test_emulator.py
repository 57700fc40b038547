"""The very zip, unpacked on a read-only disk, under AWS's runtime interface emulator and its Python client."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fledged.predicting.predictor import load
from fledged.products import Bundle, Package
from tests.deploying.emulator import MISSING, Function, body_of, is_there, running
from tests.events import KINDS, event
from tests.serving.photos import jpeg

pytestmark = pytest.mark.skipif(not is_there(), reason=MISSING)
HANDLER = "fledged.serving.function.handler"


@pytest.fixture(scope="module")
def task(packed: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its files, where nobody can write; where mounting is not allowed, as files."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(packed.folder / "function.zip") as archive:
        archive.extractall(folder)
    mounted = not subprocess.run(
        ["mount", "--bind", "-o", "ro", folder, folder], check=False, capture_output=True
    ).returncode
    if mounted:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield folder
    if mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="module")
def function(task: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    with running(task, HANDLER, tmp_path_factory.mktemp("log") / "log") as started:
        yield started


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_the_bundle_does_here(function: Function, bundle: Bundle, kind: str) -> None:
    for colour in ("red", "green"):
        ours = load(bundle).predict(jpeg(colour))
        answer = function(event(kind, "POST", "/classify", jpeg(colour), {"content-type": "image/jpeg"}))
        told = json.loads(body_of(answer))
        assert (answer["statusCode"], told["bundle_id"], told["label"]) == (200, bundle.id, colour)
        # Other builds of the same versions, for another Python: the same numbers.
        assert [entry["score"] for entry in told["top_k"]] == [entry.score for entry in ours.top_k]


def test_it_serves_the_page(function: Function) -> None:
    answer = function(event("url", "GET", "/"))
    assert b"<!doctype html>" in body_of(answer)


def test_junk_is_answered(function: Function) -> None:
    junks: list[Any] = [{}, [], None, "text", {"requestContext": {"http": {}}}, {"Records": [{"s3": {}}]}]
    for junk in junks:
        assert function(junk)["statusCode"] == 400
    assert json.loads(body_of(function(event("url", "POST", "/classify", b"no photo"))))["error"]


def test_more_than_lambda_takes_is_refused_and_the_next_one_answered(function: Function) -> None:
    told = function(event("url", "POST", "/classify", b"\0" * 6_500_000))
    assert "statusCode" not in told or told["statusCode"] == 413
    assert function(event("url", "GET", "/livez"))["statusCode"] == 200


def test_it_comes_back_after_a_crash(task: Path, tmp_path: Path) -> None:
    crashing = tmp_path / "crash.py"
    crashing.write_text(
        f"import os\nfrom {HANDLER.rpartition('.')[0]} import handler as answer\n"
        "def handler(event, context):\n"
        "    return os._exit(1) if event == 'die' else answer(event, context)\n"
    )
    with running(task, "crash.handler", tmp_path / "log", PYTHONPATH=f"{task}:{tmp_path}") as function:
        assert function(event("url", "GET", "/livez"))["statusCode"] == 200
        assert "statusCode" not in (function("die") or {})
        assert function(event("url", "GET", "/livez"))["statusCode"] == 200
