"""What AWS Lambda is given, in small: three libraries, in wheels with next to nothing in them, and few of our modules.

How a package is made is the same with them, and pip takes a moment and no network.
"""

from __future__ import annotations

import functools
import subprocess
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

from fledged.deploying import distributions, package, wheel
from fledged.deploying.distributions import installed

_NEEDED: tuple[str, ...] = ("mangum", "numpy", "starlette")
_EACH = 100  # of our modules, each 100th is packed

Files = dict[str, Path | bytes]


def lay_wheels(folder: Path) -> None:
    """A folder that pip may be told to find all of them in."""
    folder.mkdir()
    for name, version in installed().items():
        module = name.replace("-", "_")
        about = f"{module}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{module}/__init__.py", f"version = {version!r}\n")
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")


def lessen() -> None:
    """Packages are made of little from now on, and the program that compiles for them is known."""
    distributions.NEEDED = _NEEDED  # type: ignore[assignment]
    package._of_fledged, wheel.contents = (
        functools.partial(_few, package._of_fledged),
        functools.partial(_few, wheel.contents),
    )
    package.find_interpreter = functools.cache(functools.partial(_program, package.find_interpreter))
    package.find_interpreter("3.13")
    # To read what some hundred packages say of themselves takes longer than all the rest.
    here = [distribution(name) for name in _NEEDED]
    distributions.distributions = lambda: here  # type: ignore[attr-defined, assignment]
    wheel.constraints = functools.cache(wheel.constraints)
    wheel.constraints()


def _few(whole: Callable[[], Files]) -> Files:
    files = whole()
    modules = [name for name in files if name.startswith("fledged/")]
    return {name: content for name, content in files.items() if name not in modules or not modules.index(name) % _EACH}


def _program(find: Callable[[str], str | None], python: str) -> str | None:
    """Not what starts it, such as the scripts of pyenv, which take longer than it does."""
    found = find(python)
    asked = [found or "", "-c", "import sys; print(sys.executable)"]
    return found and subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
