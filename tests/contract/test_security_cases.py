"""The list of security cases is what the tests try, and tests that it names elsewhere are there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from tests.serving.security.elsewhere import ELSEWHERE

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_tests_try() -> None:
    spec = importlib.util.spec_from_file_location("security_cases", ROOT / "docs" / "security_cases.py")
    assert spec is not None
    assert spec.loader is not None
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    page = (ROOT / "docs" / "security-cases.md").read_text()
    assert page == cases.text(), "run: python docs/security_cases.py"
    numbers = re.findall(r"(?m)^\| ([A-Z]\d\d) \|", page)
    assert len(numbers) == len(set(numbers)) >= 150


def test_the_tests_of_other_rooms_are_there() -> None:
    for cases in ELSEWHERE.values():
        for case, where in cases.items():
            path, _, name = where.partition("::")
            if where.startswith("does not apply: "):
                continue
            assert f"def {name}(" in (ROOT / path).read_text(), case
