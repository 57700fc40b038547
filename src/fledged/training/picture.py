"""The curves as a picture, for a paper or a chat. Pillow draws it: a plotting library is tens of megabytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from fledged.pages.letters import lettered
from fledged.training.curves import Chart, Place

_WIDTH_PX, _HEIGHT_PX = 720, 440  # of a chart
_LEFT_PX, _TOP_PX, _RIGHT_PX, _BOTTOM_PX = 76, 78, 36, 44  # around its frame
_TITLE_PX = 56
_SCALE = 2  # lines are drawn larger and made smaller, which makes them smooth

_PAPER, _INK, _SOFT, _GRID = "#ffffff", "#1c2024", "#59606a", "#ded8ca"
_VAL, _TRAIN, _DOT, _BEST = "#0a6a94", "#8b929b", "#a9afb6", "#b03f1a"


def png(charts: Sequence[Chart], title: str) -> bytes:
    """All charts as one PNG, two beside each other, under a title."""
    rows = -(-len(charts) // 2)
    size = (2 * _WIDTH_PX, _TITLE_PX + rows * _HEIGHT_PX)
    large = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), _PAPER)
    draw = ImageDraw.Draw(large)
    corners = [((i % 2) * _WIDTH_PX, _TITLE_PX + (i // 2) * _HEIGHT_PX) for i in range(len(charts))]
    for chart, corner in zip(charts, corners, strict=True):
        _lines(draw, chart, corner)
    sheet = large.reduce(_SCALE)
    draw = ImageDraw.Draw(sheet)
    text, font = lettered(title, 22)
    draw.text((_LEFT_PX, _TITLE_PX / 2 + 4), text, _INK, font, "lm")
    for chart, corner in zip(charts, corners, strict=True):
        _words(draw, chart, corner)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _at(place: Place, corner: tuple[int, int]) -> tuple[float, float]:
    """The pixel of a place in the frame of the chart whose upper left corner this is."""
    width, height = _WIDTH_PX - _LEFT_PX - _RIGHT_PX, _HEIGHT_PX - _TOP_PX - _BOTTOM_PX
    return corner[0] + _LEFT_PX + place[0] / 100 * width, corner[1] + _TOP_PX + place[1] / 100 * height


def _lines(draw: ImageDraw.ImageDraw, chart: Chart, corner: tuple[int, int]) -> None:
    def at(place: Place) -> tuple[float, float]:
        x, y = _at(place, corner)
        return x * _SCALE, y * _SCALE

    for tick in chart.up.ticks:
        down = 100 - chart.up.at(tick)
        draw.line([at((0, down)), at((100, down))], _GRID, _SCALE)
    for place in chart.dots:
        x, y = at(place)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), _DOT)
    if chart.best:
        draw.line([at((chart.best[0], 0)), at((chart.best[0], 100))], _BEST, _SCALE)
    for line in chart.lines:
        places = [at(place) for place in line.places]
        colour, width = (_TRAIN, 3) if line.kind == "train" else (_VAL, 5)
        draw.line(places, colour, width, joint="curve")
        if len(places) == 1:
            (x, y) = places[0]
            draw.ellipse((x - 7, y - 7, x + 7, y + 7), colour)
    if chart.best:
        x, y = at(chart.best)
        draw.ellipse((x - 10, y - 10, x + 10, y + 10), _BEST)


def _words(draw: ImageDraw.ImageDraw, chart: Chart, corner: tuple[int, int]) -> None:
    font, small = ImageFont.load_default(17), ImageFont.load_default(14)
    x, y = _at((0, 0), corner)
    draw.text((x, y - 52), chart.title, _INK, font, "lm")
    keys = [(line.name, _TRAIN if line.kind == "train" else _VAL) for line in chart.lines]
    keys += [(chart.dots_name, _SOFT)] if chart.dots else []
    for name, colour in keys if len(keys) > 1 else []:
        draw.text((x, y - 26), name, colour, small, "lm")
        x += draw.textlength(name, small) + 18
    if chart.best:
        draw.text((_at((100, 0), corner)[0], y - 26), chart.best_name, _BEST, small, "rm")
    for tick in chart.up.ticks:
        left, middle = _at((0, 100 - chart.up.at(tick)), corner)
        draw.text((left - 10, middle), chart.value(tick), _SOFT, small, "rm")
    left, low = _at((0, 100), corner)
    draw.text((left, low + 18), chart.first, _SOFT, small, "lm")
    draw.text((_at((100, 100), corner)[0], low + 18), chart.last, _SOFT, small, "rm")
