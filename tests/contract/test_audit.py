"""Whether a hole is known in what is pinned, asked of an index of our own; and floors that keep known ones out."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-serve.lock"]
LOCK = """
# A comment, and pip-compile's words: of==1
Some.Package==1.5
    # via fledged
other==2.0 ; python_version > "3"
third==3.0
"""


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """docs/audit.py."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "docs" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


class Index(BaseHTTPRequestHandler):
    """OSV's way of answering: some-package has two pages of holes, other one, third none."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"results": [self.holes(query) for query in body["queries"]]}).encode()
        self.send_response(200 if self.path == "/v1/querybatch" else 404)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @staticmethod
    def holes(query: dict[str, Any]) -> dict[str, Any]:
        assert query["package"]["ecosystem"] == "PyPI"
        match query["package"]["name"], query["version"], query.get("page_token"):
            case "some-package", "1.5", None:
                return {"vulns": [{"id": "PYSEC-1"}], "next_page_token": "more"}
            case "some-package", "1.5", "more":
                return {"vulns": [{"id": "GHSA-2"}, {"id": "PYSEC-1"}]}
            case "other", "2.0", None:
                return {"vulns": [{"id": "PYSEC-3"}]}
        return {}

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_known_hole_is_told_and_fails(
    audit: ModuleType, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lock").write_text(LOCK)
    assert audit.main([tmp_path / "lock", tmp_path / "lock"], index) == 1
    told = capsys.readouterr()
    assert told.out == "3 packages, 2 with a known hole\n"
    assert told.err.splitlines() == [
        "other 2.0: https://osv.dev/PYSEC-3",
        "some-package 1.5: https://osv.dev/GHSA-2 https://osv.dev/PYSEC-1",
    ]


def test_without_a_known_hole_it_passes(audit: ModuleType, index: str, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("third==3.0\n")
    assert audit.main([tmp_path / "lock"], index) == 0


def test_what_was_not_checked_has_not_passed(
    audit: ModuleType, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lock").write_text(LOCK)
    for nobody in ("http://127.0.0.1:9", f"{index}/elsewhere"):
        assert audit.main([tmp_path / "lock"], nobody) == 2
        assert capsys.readouterr().err.startswith(f"Not checked: {nobody} cannot be asked (")
    (tmp_path / "lock").write_text("# nothing\n")
    assert audit.main([tmp_path / "lock"], index) == 2


def test_every_package_of_the_locks_is_asked_about(audit: ModuleType) -> None:
    text = "".join(lock.read_text() for lock in LOCKS)
    names = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in text.splitlines() if "==" in line[:80]}
    assert {name for name, _ in audit.pins(LOCKS)} == {name for name in names if not name.startswith((" ", "#"))}


def test_what_is_pinned_is_at_or_above_every_floor(audit: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    floors = {needed.name.lower(): needed.specifier for needed in map(Requirement, lines)}
    pinned = dict(audit.pins(LOCKS))
    below = {name: version for name, version in pinned.items() if name in floors and version not in floors[name]}
    assert not below


# Package -> the first version without the hole that is named beside its floor in pyproject.toml.
WITHOUT_HOLES = {
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701: a link in place of the lock file
    "h11": "0.16",  # CVE-2025-43859: chunks that end otherwise than they should, and smuggled requests
    "jinja2": "3.1.6",  # CVE-2025-27516
    "onnx": "1.21",  # CVE-2026-27489, CVE-2026-34445: external data
    "pi-heif": "1.4",  # libheif 1.23, where CVE-2026-32740 and -32741 are mended
    "pillow": "12.3",  # CVE-2026-25990, CVE-2026-40192, CVE-2026-55379
    "pyarrow": "23.0.1",  # CVE-2026-25087
    "python-multipart": "0.0.27",  # CVE-2026-42561
    "starlette": "1.3.1",  # CVE-2026-54283
    "torch": "2.10",  # CVE-2025-32434, CVE-2026-24747: weights_only=True
}


def test_no_floor_lets_a_known_hole_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    for needed in map(Requirement, lines):
        if hole_free := WITHOUT_HOLES.get(needed.name):
            lowest = [Version(part.version) for part in needed.specifier if part.operator in (">=", "==")]
            assert lowest, needed
            assert max(lowest) >= Version(hole_free), needed
