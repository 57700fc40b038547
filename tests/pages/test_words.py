"""Figures as a reader sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fledged.pages import words


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0.000 kB"),
        (12, "0.012 kB"),
        (950, "0.9 kB"),
        (9_940, "9.9 kB"),
        (48_000, "48 kB"),
        (10_988_000, "10,988 kB"),
    ],
)
def test_kilobytes_are_of_a_thousand_and_never_round_to_nothing(n_bytes: int, text: str) -> None:
    assert words.kilobytes(n_bytes) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0.0 kB"), (1_500, "1.5 kB"), (4_600_000_000, "4.6 GB"), (230_000_000, "230 MB"), (5 * 10**15, "5,000 TB")],
)
def test_totals_take_the_unit_that_fits(n_bytes: int, text: str) -> None:
    assert words.amount(n_bytes) == text


def test_p_values_are_never_nothing() -> None:
    assert words.p_value(0.0001) == "< 0.001"
    assert words.p_value(0.0312) == "0.031"
    assert words.points(0.0042) == "+0.4 points"


def test_an_answer_that_is_refused_says_so() -> None:
    assert words.answer("owl", 0.9742, True) == "owl 97.4%"
    assert words.answer("o\nwl", 0.99999, False) == "unknown (o\\nwl > 99.9%)"


def test_long_names_keep_their_ends() -> None:
    assert words.shortened("kingfisher", 10) == "kingfisher"
    assert words.shortened("kingfisher", 7) == "king…er"
    assert words.shortened("a\nb", 5) == "a\\nb"
    assert words.shortened("翡翠翡翠翡翠", 7) == "翡翠…翠"
    named = [words.shortened(f"a rather long class name {n}", 22) for n in range(50)]
    assert len(set(named)) == 50


@given(st.text(), st.integers(4, 30))
def test_short_names_are_as_short_as_they_must_be(name: str, n_columns: int) -> None:
    assert cell_len(words.shortened(name, n_columns)) <= n_columns
