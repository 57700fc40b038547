"""The base install, in an environment of its own without torch: it answers photos, and names the extra for the rest."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.bundles import make_tiny_bundle
from tests.serving.photos import jpeg

PYTHON = os.environ.get("FLEDGED_SERVE_PYTHON", "")

pytestmark = pytest.mark.skipif(not PYTHON, reason="FLEDGED_SERVE_PYTHON names no base install; `make test` makes one")


def base(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, "-m", "fledged", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)


def test_it_has_no_torch_and_no_tables() -> None:
    for package in ("torch", "torchvision", "timm", "polars", "sklearn", "onnx", "boto3"):
        assert subprocess.run([PYTHON, "-c", f"import {package}"], capture_output=True, check=False).returncode == 1


def test_it_answers_photos(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "work")
    photo = tmp_path / "red.jpg"
    photo.write_bytes(jpeg("red"))
    answer = json.loads(base("predict", photo, "--work", tmp_path / "work", "--json").stdout)
    assert (answer["label"], answer["bundle_id"]) == ("red", bundle.id)


def test_it_serves(tmp_path: Path) -> None:
    import httpx

    make_tiny_bundle(tmp_path / "work")
    command = [PYTHON, "-m", "fledged", "serve", "--work", str(tmp_path / "work"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1].rstrip("/")
        assert httpx.post(f"{url}/classify", content=jpeg("blue"), timeout=30).json()["label"] == "blue"
        server.terminate()
        assert server.wait(20) == 0


@pytest.mark.parametrize("words", [["scan", "photos"], ["train"], ["export"], ["build", "photos"]])
def test_what_needs_more_says_what_to_install_in_one_line(words: list[str]) -> None:
    done = base(*words, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pip install 'fledged[train]'")
    assert len(done.stderr.strip().splitlines()) == 1
