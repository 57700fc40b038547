"""Pictures with words below them, in one picture that can be sent."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

from fledged.pages.letters import lettered

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
    draw = ImageDraw.Draw(made)
    text, font = lettered(title, 18)
    draw.text((_GAP_PX, _GAP_PX), text, _INK, font)
    for place, (picture, words) in enumerate(tiles):
        small = picture.copy()
        small.thumbnail((TILE_PX, TILE_PX))
        if max(small.size) < TILE_PX:
            scale = TILE_PX / max(small.size)
            small = small.resize((round(small.width * scale), round(small.height * scale)), Image.Resampling.BICUBIC)
        left, above = _GAP_PX + place % n_columns * (TILE_PX + _GAP_PX), top + place // n_columns * step
        made.paste(small, (left + (TILE_PX - small.width) // 2, above + (TILE_PX - small.height) // 2))
        text, font = lettered(words, 14, TILE_PX)
        draw.text((left, above + TILE_PX + 4), text, _SOFT, font)
    return made


def png(picture: Image.Image) -> bytes:
    """PNG bytes without any metadata."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
