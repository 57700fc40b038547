"""The libraries that answering needs, for another machine: its wheels, unpacked, without what only developers use.

Versions are those that are installed here, so that the deployed model decodes and computes as it was evaluated.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from fledged.errors import MissingExtra, ProductError
from fledged.workspace import Workspace
from fledged.writing import disk_errors

NEEDED = (
    "filelock",
    "mangum",
    "numpy",
    "onnxruntime",
    "pi-heif",
    "pillow",
    "pydantic",
    "python-multipart",
    "starlette",
)

# Wheels of any of these run on Amazon Linux 2023, which has glibc 2.34.
_PLATFORMS = {
    "x86_64": ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "arm64": ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"),
}
_TIMEOUT_S = 600

# What is left out: tests, headers, and tools that train, convert or draw. `libonnxruntime.so` is for programs in C; the
# Python module has all of it inside.
_LEFT_OUT = tuple(
    re.compile(pattern)
    for pattern in (
        r"(^|/)(tests?|__pycache__|include)/",
        r"^bin/",
        r"\.(pyi|pxd|pyx|h|c|a)$",
        r"^numpy/(f2py|fft|ma|polynomial|random|testing|_pyinstaller|_core/lib)/",
        r"^numpy/_core/(_simd|_\w+_tests)\.",
        r"^onnxruntime/(backend|datasets|quantization|tools|transformers)/",
        r"^onnxruntime/capi/libonnxruntime(_providers_shared)?\.so",
        r"^(google|flatbuffers|packaging|(protobuf|flatbuffers|packaging)-[^/]*)/",
        r"^PIL/_imaging(tk|ft|math|morph)\.",
        r"^pillow\.libs/lib(harfbuzz|freetype)-",
        r"^pydantic/(v1/|mypy\.py)",
        r"^(starlette/testclient|anyio/(pytest_plugin|_backends/_trio))\.py$",
        r"\.dist-info/(RECORD|INSTALLER|REQUESTED|WHEEL|top_level\.txt|sboms/)",
    )
)


def is_needed(path: str) -> bool:
    """Whether a file of the unpacked wheels, by its path there, has a part in answering."""
    return not any(pattern.search(path) for pattern in _LEFT_OUT)


def installed() -> dict[str, str]:
    """The versions here, by name, of what is needed. Raises MissingExtra."""
    found = {}
    for name in NEEDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError as error:
            raise MissingExtra("aws", name) from error
    return found


def unpacked(python: str, architecture: str, workspace: Workspace) -> Path:
    """A folder with them for this Python (such as 3.13) and architecture (x86_64 or arm64), fetched once.

    Raises ProductError where pip cannot get them.
    """
    wanted = [f"{name}=={number}" for name, number in installed().items()]
    # What they need in turn comes in the versions of here as well.
    about = [found.metadata for found in distributions()]
    limits = sorted(f"{one['Name']}=={one['Version']}" for one in about if "Name" in one)
    key = hashlib.sha256(json.dumps([wanted, limits, python, architecture]).encode()).hexdigest()[:16]
    folder = workspace.cache(f"wheels/{key}")
    if folder.exists():
        return folder
    draft = folder.with_name(f".{key}.part")
    limits_file = draft.with_suffix(".txt")
    with disk_errors(draft):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    with disk_errors(limits_file):
        limits_file.write_text("\n".join(limits))
        _pip(wanted, limits_file, python, architecture, draft)
        limits_file.unlink()
    os.sync()  # once for all files: what has its name is there whole
    with disk_errors(folder):
        draft.rename(folder)
    return folder


def _pip(wanted: list[str], limits: Path, python: str, architecture: str, folder: Path) -> None:
    platforms = [word for platform in _PLATFORMS[architecture] for word in ("--platform", platform)]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        "--no-warn-conflicts",  # with what is installed here, which the function never sees: a second of looking
        *("--target", str(folder), "--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *platforms,
        *("--constraint", str(limits)),
        *wanted,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        reason = done.stderr.strip().splitlines()[-1:] if done.returncode else []
    except subprocess.TimeoutExpired:
        reason = [f"pip took longer than {_TIMEOUT_S} s"]
    if reason:
        raise ProductError(
            f"The libraries for Python {python} on {architecture} could not be fetched: {reason[0]}",
            where=limits,  # pip says what it cannot write, but not that it cannot read them
            remedy="pip and a package index must be at hand; then run the same command again.",
        )
