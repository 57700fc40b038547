"""Words in pictures of pixels: with letters that are at hand, else spelled out, and never as empty boxes.

The font that comes with Pillow knows ASCII and a few signs. A text with other letters is drawn with a usual font of the
system that has them; what no font at hand has becomes its code point (`\\u7fe1`), so that no two names look alike.
"""

from __future__ import annotations

import math
from functools import cache

from PIL import ImageFont

from fledged.pages.words import visible

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Of Linux, Windows and macOS. Those that many languages share come first: the first that has all letters is taken.
_USUAL = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "Arial Unicode.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "YuGothR.ttc", "malgun.ttf"),
    *("NotoSansArabic-Regular.ttf", "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf", "Nirmala.ttc"),
)
_NOBODY_HAS = "\uffff"  # is no character: what a font draws for it, it draws for all that it lacks
_TRIED_PX = 20


def lettered(text: str, size_px: float, most_px: float = math.inf) -> tuple[str, Font]:
    """The visible text as it can be drawn, and the font to draw it with; its end is left out beyond `most_px`."""
    text = visible(text)
    lacking = {font: _lacking(font, text) for font in (None, *(_of_system() if _lacking(None, text) else ()))}
    font = min(lacking, key=lambda one: len(lacking[one]))  # the first of the best
    spelled = "".join(c.encode("unicode_escape").decode() if c in lacking[font] else c for c in text)
    sized = _sized(font, size_px)
    return _fitting(spelled, sized, most_px), sized


def _fitting(text: str, font: Font, most_px: float) -> str:
    if font.getlength(text) <= most_px:
        return text
    while text and font.getlength(f"{text}...") > most_px:
        text = text[:-1]
    return f"{text}..."


def _lacking(font: str | None, text: str) -> frozenset[str]:
    return frozenset(c for c in text if not c.isspace() and not _has(font, c))


@cache
def _has(font: str | None, character: str) -> bool:
    # Without shaping, which would set a dotted circle beside a sign that it lacks.
    tried = _sized(font, _TRIED_PX)
    if isinstance(tried, ImageFont.FreeTypeFont):
        tried = tried.font_variant(layout_engine=ImageFont.Layout.BASIC)
    drawn, nothing = tried.getmask(character), tried.getmask(_NOBODY_HAS)
    return drawn.size != nothing.size or bytes(drawn) != bytes(nothing)


@cache
def _of_system() -> tuple[str, ...]:
    """Names of the usual fonts that are here."""
    found = []
    for name in _USUAL:
        try:
            ImageFont.truetype(name, _TRIED_PX)
        except OSError:
            continue
        found.append(name)
    return tuple(found)


@cache
def _sized(font: str | None, size_px: float) -> Font:
    """None is the font that comes with Pillow."""
    return ImageFont.load_default(size_px) if font is None else ImageFont.truetype(font, size_px)
