"""Which files of libraries are needed, and what is said where they cannot be had."""

from __future__ import annotations

import errno
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from fledged.deploying import distributions
from fledged.deploying.distributions import NEEDED, installed, is_needed, unpacked
from fledged.errors import MissingExtra, ProductError, WorkspaceError
from fledged.workspace import Workspace


@pytest.mark.parametrize(
    "path",
    [
        "numpy/__init__.py",
        "numpy/_core/_multiarray_umath.cpython-313-x86_64-linux-gnu.so",
        "numpy.libs/libscipy_openblas64_-32a4b2a6.so",
        "onnxruntime/capi/onnxruntime_pybind11_state.cpython-313-x86_64-linux-gnu.so",
        "PIL/JpegImagePlugin.py",
        "pillow.libs/libjpeg-6dc8d115.so.62.4.0",
        "pillow-13.0.0.dist-info/licenses/LICENSE",
        "pillow-13.0.0.dist-info/METADATA",
        "anyio/_backends/_asyncio.py",
    ],
)
def test_what_answers_and_its_licences_are_kept(path: str) -> None:
    assert is_needed(path)


@pytest.mark.parametrize(
    "path",
    [
        "numpy/lib/tests/test_io.py",
        "numpy/_core/include/numpy/arrayobject.h",
        "numpy/__pycache__/version.cpython-313.pyc",
        "onnxruntime/quantization/quantize.py",
        "onnxruntime/capi/libonnxruntime.so.1.31.1",
        "google/protobuf/message.py",
        "bin/onnxruntime_test",
        "pydantic/v1/main.py",
        "numpy/__init__.pyi",
        "starlette/testclient.py",
        "anyio/_backends/_trio.py",
    ],
)
def test_what_only_developers_use_is_not(path: str) -> None:
    assert not is_needed(path)


def test_versions_are_those_that_are_installed_here() -> None:
    assert installed() == {name: version(name) for name in NEEDED}


def test_a_library_that_is_not_here_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "NEEDED", ("numpy", "no-such-thing"))
    with pytest.raises(MissingExtra, match=r"no-such-thing.*fledged\[aws\]"):
        installed()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (subprocess.CompletedProcess([], 1, "", "noise\nERROR: No matching distribution"), "No matching distribution"),
        (subprocess.TimeoutExpired("pip", 1), "pip took longer"),
    ],
    ids=["refused", "never ends"],
)
def test_libraries_that_cannot_be_fetched_are_one_line_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, words: str
) -> None:
    def pip(*_: object, **__: object) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(ProductError, match=rf"could not be fetched.*{words}") as caught:
        unpacked("3.13", "x86_64", Workspace(tmp_path))
    assert Path(str(caught.value.where)).read_text().count("==") > len(NEEDED)  # what limits pip
    left = [path.name for path in (tmp_path / "cache" / "wheels").iterdir() if not path.name.startswith(".")]
    assert left == []


def test_a_disk_that_takes_no_list_of_limits_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WorkspaceError, match="No space left on device") as caught:
        unpacked("3.13", "x86_64", Workspace(tmp_path))
    assert str(caught.value.where).endswith(".txt")
