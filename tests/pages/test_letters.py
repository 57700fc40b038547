"""Words in pixels: no letter becomes an empty box, and no two names become alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fledged.pages import letters
from fledged.pages.letters import lettered


@pytest.fixture(params=["the system's fonts", "no fonts"])
def fonts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "no fonts":
        monkeypatch.setattr(letters, "_USUAL", ())
    letters._of_system.cache_clear()
    yield request.param
    letters._of_system.cache_clear()


def drawn(text: str) -> bytes:
    """The pixels of the words as they are drawn, and none of their box as what no font has."""
    said, font = lettered(text, 20)
    sheet = Image.new("L", (40 + int(font.getlength(said)), 60))
    ImageDraw.Draw(sheet).text((10, 10), said, 255, font)
    return sheet.tobytes()


@pytest.mark.parametrize(
    "text", ["ants", "Eisvögel", "Łoś", "зимородок", "翡翠", "العربية", "กข", "हिन्दी", "🐝", "56 × 56"]
)
def test_no_letter_becomes_an_empty_box(text: str, fonts: str) -> None:
    said, font = lettered(text, 20)
    box = bytes(font.getmask("\uffff"))
    for character in said:
        assert character.isspace() or bytes(font.getmask(character)) != box, character
    if text.isascii():
        assert said == text
    elif fonts == "no fonts":
        assert said == "".join(c if c.isascii() else c.encode("unicode_escape").decode() for c in text)


@pytest.mark.parametrize(("one", "other"), [("翡翠", "麻雀"), ("Bär", "Bör"), ("🐝", "🐜"), ("łoś", "łos")])
def test_two_names_look_different(one: str, other: str, fonts: str) -> None:
    assert drawn(one) != drawn(other)


def test_a_font_of_the_system_is_taken_for_letters_that_it_has() -> None:
    if not letters._of_system():
        pytest.skip("none of the usual fonts is installed")
    assert lettered("Eisvögel", 15)[0] == "Eisvögel"


def test_ascii_is_drawn_alike_everywhere() -> None:
    assert lettered("The same, on 2 machines!", 15)[1] is letters._sized(None, 15)


@given(st.text(max_size=30), st.integers(20, 200))
def test_it_fits(text: str, most_px: int) -> None:
    said, font = lettered(text, 14, most_px)
    assert font.getlength(said) <= most_px
