"""What is installed with fledged, and that the same source gives the same wheel."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from fledged.writing import sha256_of_file

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def supply() -> ModuleType:
    """docs/supply.py."""
    spec = importlib.util.spec_from_file_location("supply", ROOT / "docs" / "supply.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["supply"] = module
    spec.loader.exec_module(module)
    return module


def test_no_licence_of_the_default_install_asks_more_than_to_be_named(supply: ModuleType, tmp_path: Path) -> None:
    assert supply.main(tmp_path) == 0
    bill = json.loads((tmp_path / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "fledged")
    names = {component["name"] for component in bill["components"]}
    assert {"numpy", "onnxruntime", "pillow", "starlette"} <= names
    assert not names & {"torch", "boto3", "ray", "polars"}
    assert all(component["licenses"][0]["license"]["name"] for component in bill["components"])
    assert (tmp_path / "licences.md").read_text().count("\n| ") == len(names) + 2


def test_a_licence_that_asks_more_is_found(supply: ModuleType) -> None:
    told = [
        supply.Package("free", "1", "MIT"),
        supply.Package("linked", "1", "GNU Lesser General Public License v3 (LGPLv3)"),
        supply.Package("network", "1", "AGPL-3.0-only"),
        supply.Package("copyleft", "1", "GNU General Public License v3 (GPLv3)"),
        supply.Package("silent", "1", "not said"),
    ]
    assert [package.name for package in supply.refused(told)] == ["network", "copyleft", "silent"]


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")
def test_the_same_source_is_the_same_wheel(tmp_path: Path) -> None:
    wheels = []
    for name in ("one", "two"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / name)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        wheels += list((tmp_path / name).glob("*.whl"))
        time.sleep(2.1 if name == "one" else 0)  # zip knows times of two seconds
    assert len(wheels) == 2
    assert sha256_of_file(wheels[0]) == sha256_of_file(wheels[1])
