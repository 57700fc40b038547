"""Pictures with words below them, in one picture that can be sent."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

TILE_PX = 208
_GAP_PX = 10
_TEXT_PX = 24
_PAPER, _INK, _SOFT = (251, 249, 244), (28, 32, 36), (89, 96, 106)


def sheet(tiles: Sequence[tuple[Image.Image, str]], n_columns: int, title: str = "") -> Image.Image:
    """The pictures in rows, each with its words below it, under a title."""
    n_rows = -(-len(tiles) // n_columns)
    top = _GAP_PX + (_TEXT_PX + _GAP_PX if title else 0)
    step = TILE_PX + _TEXT_PX + _GAP_PX
    made = Image.new("RGB", (_GAP_PX + n_columns * (TILE_PX + _GAP_PX), top + n_rows * step), _PAPER)
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(14)
    draw.text((_GAP_PX, _GAP_PX), _latin(title), _INK, ImageFont.load_default(18))
    for place, (picture, words) in enumerate(tiles):
        small = picture.copy()
        small.thumbnail((TILE_PX, TILE_PX))
        if max(small.size) < TILE_PX:
            scale = TILE_PX / max(small.size)
            small = small.resize((round(small.width * scale), round(small.height * scale)), Image.Resampling.BICUBIC)
        left, above = _GAP_PX + place % n_columns * (TILE_PX + _GAP_PX), top + place // n_columns * step
        made.paste(small, (left + (TILE_PX - small.width) // 2, above + (TILE_PX - small.height) // 2))
        draw.text((left, above + TILE_PX + 4), _fitting(_latin(words), font), _SOFT, font)
    return made


def png(picture: Image.Image) -> bytes:
    """PNG bytes without any metadata."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _latin(text: str) -> str:
    """The font that comes with Pillow knows Latin letters only; others become question marks, and the page has all."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= TILE_PX:
        return text
    while text and font.getlength(f"{text}...") > TILE_PX:
        text = text[:-1]
    return f"{text}..."
