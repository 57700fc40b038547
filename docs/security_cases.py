"""Writes security-cases.md from the tests themselves: `python docs/security_cases.py`."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
_HERE = ("bodies", "paths", "access", "photos", "models", "urls")
_MODULES = (*(f"tests.serving.security.test_{name}" for name in _HERE), "tests.serving.test_observing")
_ID = re.compile(r"[A-Z]\d\d ")

_HEAD = """# Security, case by case

What was tried against a running server and a bundle, and the test that tries it each time. Written by
`python docs/security_cases.py` from those tests. "Passes" means that the test is in the suite, which does not pass
without it; a case whose test needs something from elsewhere says so.
"""


def text() -> str:
    """The page."""
    sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
    parts = [_HEAD]
    n = 0
    for name in _MODULES:
        module = importlib.import_module(name)
        rows = [(case, _passes(case), f"{name.replace('.', '/')}.py") for case in sorted(_cases(module))]
        n += len(rows)
        parts.append(_table(module.GROUP, rows))
    for group, cases in importlib.import_module("tests.serving.security.elsewhere").ELSEWHERE.items():
        rows = [
            (case, where, "") if where.startswith("does not apply") else (case, "passes", where)
            for case, where in cases.items()
        ]
        n += len(rows)
        parts.append(_table(group, rows))
    parts[0] += f"\n{n} cases.\n"
    return "".join(parts)


def _cases(module: ModuleType) -> Iterator[str]:
    """The keys of its tables, and the docstrings of its tests that begin with a number."""
    for name, value in vars(module).items():
        if isinstance(value, dict) and name.isupper():
            yield from (key for key in value if isinstance(key, str) and _ID.match(key))
        elif name.startswith("test_") and _ID.match(value.__doc__ or ""):
            yield value.__doc__


def _passes(case: str) -> str:
    return "passes where FLEDGED_HOSTILE_PHOTOS names them" if case.startswith("M02") else "passes"


def _table(group: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"\n## {group}\n", "| | case | | test |", "|---|---|---|---|"]
    for case, outcome, test in rows:
        number, _, words = case.partition(" ")
        words = words.replace("|", "\\|").replace("<", "&lt;")
        path, _, function = test.partition("::")
        link = f"[{function or Path(path).name}](../{path})" if test else ""
        lines.append(f"| {number} | {words} | {outcome} | {link} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "security-cases.md").write_text(text())
