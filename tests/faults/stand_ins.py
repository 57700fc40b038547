"""Wheels by the names and versions of the libraries that AWS Lambda is given, with next to nothing in them.

How a package is made is the same with them, and pip takes a moment and no network.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from fledged.deploying.distributions import installed


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
