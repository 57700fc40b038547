"""What AWS Lambda is given: libraries, the serving part of fledged, and the bundle."""

from __future__ import annotations

import subprocess
import tempfile
from importlib.metadata import metadata
from pathlib import Path

import fledged
from fledged.deploying.distributions import is_needed
from fledged.interpreters import find_interpreter
from fledged.products import Bundle
from fledged.writing import bytes_of_file

__all__ = ["contents", "find_interpreter", "of_bundle"]

# The rooms that answer; all else is left at home.
_ROOMS = ("predicting", "serving", "settings", "spreading")
_COMPILE_TIMEOUT_S = 300

# Neither date nor content of a module is looked at again: the zip keeps no dates, and nobody changes it.
_COMPILE = ("-m", "compileall", "-q", "-j1", "--invalidation-mode", "unchecked-hash")


def contents(libraries: Path, interpreter: str | None) -> dict[str, Path | bytes]:
    """Every file of the package by its name there, but for the bundle.

    With an `interpreter` of the function's Python version the modules are compiled ahead: a function cannot keep what
    it compiles, so that it would compile them again at every cold start.
    """
    files: dict[str, Path | bytes] = {}
    for path in sorted(libraries.rglob("*")):
        name = path.relative_to(libraries).as_posix()
        if path.is_file() and is_needed(name):
            files[name] = path
    files |= _of_fledged()
    if interpreter is not None:
        files |= _compiled({name: file for name, file in files.items() if name.endswith(".py")}, interpreter)
    return files


def of_bundle(bundle: Bundle, within: str = "") -> dict[str, Path | bytes]:
    """The files of a bundle by their names in a zip file, below a folder there (such as `bundle/`)."""
    return {f"{within}{name}": bundle.folder / name for name in ("bundle.json", *bundle.files)}


def _of_fledged() -> dict[str, Path | bytes]:
    root = Path(fledged.__file__).parent
    rooms = [root, *(root / room for room in _ROOMS)]
    files: dict[str, Path | bytes] = {
        f"fledged/{path.relative_to(root).as_posix()}": path for room in rooms for path in sorted(room.glob("*.py"))
    }
    page = root / "serving" / "page"
    files |= {f"fledged/serving/page/{path.name}": path for path in sorted(page.iterdir()) if path.is_file()}
    about = metadata("fledged")
    text = f"Metadata-Version: 2.1\nName: fledged\nVersion: {about['Version']}\n"
    files[f"fledged-{about['Version']}.dist-info/METADATA"] = text.encode()
    return files


def _compiled(modules: dict[str, Path | bytes], interpreter: str) -> dict[str, Path | bytes]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, file in modules.items():
            assert isinstance(file, Path)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(bytes_of_file(file))
        # Tracebacks name the places where the files will lie.
        command = [interpreter, *_COMPILE, "-s", folder, "-p", "/var/task", folder]
        environment = {"PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin"}
        subprocess.run(command, check=True, capture_output=True, env=environment, timeout=_COMPILE_TIMEOUT_S)
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.pyc"))}
