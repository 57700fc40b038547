"""Cells that a spreadsheet would run are marked as text, and are read back as what they were."""

from __future__ import annotations

import pytest

from fledged.formulas import cell, value_of

FORMULAS = ("=1+1", "+1", "-rf", "@SUM(A1)", "\t=1", "\r=1", "=\n")
PLAIN = ("owl", "-", "", "a=b", "'quoted'", "owl -1")


@pytest.mark.parametrize("text", FORMULAS)
def test_what_begins_like_a_formula_is_marked(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert value_of(f"'{text}") == text


@pytest.mark.parametrize("value", [*PLAIN, -1.5, None, True])
def test_all_else_is_as_it_was(value: object) -> None:
    assert cell(value) == value
    assert not isinstance(value, str) or value_of(value) == value
