"""fledged as a wheel: pip installs it, it is all there, and versions are those of here."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import fledged
from fledged.deploying import wheel
from fledged.deploying.archive import write_zip


def test_pip_installs_it_whole(tmp_path: Path) -> None:
    with (tmp_path / wheel.NAME).open("wb") as file:
        write_zip(file, wheel.contents())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(tmp_path / "site"), str(tmp_path / wheel.NAME)], check=True, timeout=120)
    here = Path(fledged.__file__).parent
    ours = {path.relative_to(here) for path in here.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    there = tmp_path / "site" / "fledged"
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == ours
    assert (there / "images.py").read_bytes() == (here / "images.py").read_bytes()
    told = subprocess.run(
        [tmp_path / "site" / "bin" / "fledged", "--version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert fledged.__version__ in told.stdout


def test_versions_are_those_of_here_and_only_of_the_base() -> None:
    lines = wheel.constraints().splitlines()
    assert lines == sorted(set(lines))
    versions = dict(line.split("==") for line in lines)
    assert versions["onnxruntime"] == version("onnxruntime")
    assert {"uvicorn", "h11", "pydantic-core", "typing-extensions"} <= set(versions)
    assert set(versions).isdisjoint({"fledged", "torch", "boto3", "pytest"})
