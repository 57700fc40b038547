"""Other versions of Python on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path


def find_interpreter(python: str) -> str | None:
    """A program that runs this version of Python: on the PATH, or among those that pyenv keeps."""
    name = f"python{python}"
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders += sorted(pyenv.glob(f"versions/{python}.*/bin"), reverse=True)
    for program in (str(folder / name) for folder in folders if (folder / name).is_file()):
        ask = [program, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            # A launcher may be there for a version that is not.
            if subprocess.run(ask, capture_output=True, text=True, check=True, timeout=60).stdout.strip() == python:
                return program
    return None
