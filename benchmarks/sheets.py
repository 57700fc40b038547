"""Contact sheets of pairs, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

_CELL_PX = 160
_PAIRS_A_ROW = 4
_MOST = 160


def pair_sheet(lake: Path, pairs: Sequence[tuple[str, str]], target: Path) -> None:
    """A PNG with the pairs side by side and their numbers, in order; nothing if there are none."""
    shown = pairs[:_MOST]
    if not shown:
        return
    rows = -(-len(shown) // _PAIRS_A_ROW)
    wide, high = 2 * _CELL_PX + 14, _CELL_PX + 16
    sheet = Image.new("RGB", (_PAIRS_A_ROW * wide, rows * high), "white")
    draw = ImageDraw.Draw(sheet)
    for number, pair in enumerate(shown):
        left, top = number % _PAIRS_A_ROW * wide, number // _PAIRS_A_ROW * high
        draw.text(
            (left + 2, top + 1), f"{number}: {pair[0].split('/')[-1][:12]} {pair[1].split('/')[-1][:12]}", "black"
        )
        for place, path in enumerate(pair):
            with Image.open(lake / path) as image:
                small = image.convert("RGB")
            small.thumbnail((_CELL_PX, _CELL_PX))
            sheet.paste(small, (left + place * _CELL_PX, top + 14))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)
