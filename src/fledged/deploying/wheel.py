"""fledged itself, as a wheel: a container installs the very code that packs, whether or not an index has it."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fledged

CONSTRAINTS = "constraints.txt"
NAME = f"fledged-{fledged.__version__}-py3-none-any.whl"
_ABOUT = f"fledged-{fledged.__version__}.dist-info"
_KIND = "Wheel-Version: 1.0\nGenerator: fledged\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def contents() -> dict[str, Path | bytes]:
    """Every file of the wheel by its name there: https://packaging.python.org/specifications/binary-distribution-format"""
    root = Path(fledged.__file__).parent
    files: dict[str, Path | bytes] = {
        f"fledged/{path.relative_to(root).as_posix()}": path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
    about = distribution("fledged")
    for name in ("METADATA", "entry_points.txt", "licenses/LICENSE"):
        if text := about.read_text(name):
            files[f"{_ABOUT}/{name}"] = text.encode()
    files[f"{_ABOUT}/WHEEL"] = _KIND.encode()
    record = [_line(name, content) for name, content in files.items()]
    files[f"{_ABOUT}/RECORD"] = "".join([*record, f"{_ABOUT}/RECORD,,\n"]).encode()
    return files


def of_code() -> str:
    """A hash of all code: another one makes another package."""
    record = contents()[f"{_ABOUT}/RECORD"]
    assert isinstance(record, bytes)
    return hashlib.sha256(record).hexdigest()[:16]


def constraints() -> str:
    """The versions that are installed here of all that the base install needs, and of what that needs, for pip."""
    lines, seen, wanted = [], {"fledged"}, ["fledged"]
    while wanted:
        name = wanted.pop()
        try:
            here = distribution(name)
        except PackageNotFoundError:  # for another system or version of Python
            continue
        if name != "fledged":
            lines.append(f"{name}=={here.version}\n")
        for need in here.requires or ():
            required = Requirement(need)
            needed = canonicalize_name(required.name)
            if needed not in seen and (required.marker is None or required.marker.evaluate({"extra": ""})):
                seen.add(needed)
                wanted.append(needed)
    return "".join(sorted(lines))


def _line(name: str, content: Path | bytes) -> str:
    data = content if isinstance(content, bytes) else content.read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"
