"""Small pictures of lines, boxes and words, as SVG text and as PNG: for papers, slides and chats.

A plotting library is tens of megabytes, and its pictures change with its version. The same sketch gives the same bytes.
"""

from __future__ import annotations

import io
import itertools
import math
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw

from fledged.pages.letters import lettered
from fledged.pages.words import visible

PAPER, INK, SOFT, GRID, FAINT = "#ffffff", "#1c2024", "#59606a", "#ded8ca", "#efeadf"
BLUE, RUST, PALE_BLUE = "#0a6a94", "#b03f1a", "#a9cfe0"

_SCALE = 2  # lines are drawn larger and made smaller, which makes them smooth
_DASH_PX = 7.0
_ANCHORS = {"left": ("start", "l"), "middle": ("middle", "m"), "right": ("end", "r")}

Point = tuple[float, float]  # px from the upper left corner


@dataclass(frozen=True, slots=True)
class Line:
    """Points joined by straight lines."""

    points: tuple[Point, ...]
    colour: str = SOFT
    width_px: float = 1
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    colour: str


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text, its height centred at `y`; `is_upright` turns it to be read from below.

    In pixels, where letters may have to be spelled out, what goes beyond `most_px` is left out.
    """

    x: float
    y: float
    text: str
    size_px: float = 15
    colour: str = INK
    anchor: Literal["left", "middle", "right"] = "left"
    is_upright: bool = False
    most_px: float = math.inf


Shape = Line | Box | Dot | Words


@dataclass(frozen=True, slots=True)
class Sketch:
    """A picture; `title` and `description` are for those who do not see it."""

    width_px: int
    height_px: int
    title: str
    description: str
    shapes: tuple[Shape, ...]


def svg(sketch: Sketch) -> bytes:
    """A file of its own, which names no font file and no address but that of its format."""
    size = f'width="{sketch.width_px}" height="{sketch.height_px}" viewBox="0 0 {sketch.width_px} {sketch.height_px}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="Helvetica, Arial, sans-serif">',
        f"<title>{_text(sketch.title)}</title>",
        f"<desc>{_text(sketch.description)}</desc>",
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        *map(_element, sketch.shapes),
        "</svg>",
    ]
    return "\n".join([*lines, ""]).encode()


def png(sketch: Sketch) -> bytes:
    """The picture in pixels. Where all that it says is ASCII it is the same bytes on each machine."""
    large = Image.new("RGB", (sketch.width_px * _SCALE, sketch.height_px * _SCALE), PAPER)
    draw = ImageDraw.Draw(large)
    for shape in sketch.shapes:
        _draw(draw, shape)
    sheet = large.reduce(_SCALE)
    for shape in sketch.shapes:
        if isinstance(shape, Words):
            _write(sheet, shape)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _element(shape: Shape) -> str:
    match shape:
        case Line():
            points = " ".join(f"{_n(x)},{_n(y)}" for x, y in shape.points)
            dashes = f' stroke-dasharray="{_n(_DASH_PX)}"' if shape.is_dashed else ""
            return (
                f'<polyline points="{points}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{_n(shape.width_px)}" stroke-linejoin="round"{dashes}/>'
            )
        case Box():
            where = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
            return f'<rect {where} fill="{shape.colour}"/>'
        case Dot():
            return f'<circle cx="{_n(shape.x)}" cy="{_n(shape.y)}" r="{_n(shape.radius)}" fill="{shape.colour}"/>'
        case Words():
            turn = f' transform="rotate(-90 {_n(shape.x)} {_n(shape.y)})"' if shape.is_upright else ""
            where = f'x="{_n(shape.x)}" y="{_n(shape.y)}" dy="0.35em" text-anchor="{_ANCHORS[shape.anchor][0]}"'
            style = f'font-size="{_n(shape.size_px)}" fill="{shape.colour}"'
            return f"<text {where} {style}{turn}>{_text(shape.text)}</text>"


def _draw(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    match shape:
        case Line():
            width = max(1, round(shape.width_px * _SCALE))
            points = [(x * _SCALE, y * _SCALE) for x, y in shape.points]
            for part in _dashes(points) if shape.is_dashed else [points]:
                draw.line(part, shape.colour, width, joint="curve")
        case Box():
            corner = (shape.x * _SCALE, shape.y * _SCALE)
            other = ((shape.x + shape.width) * _SCALE - 1, (shape.y + shape.height) * _SCALE - 1)
            draw.rectangle((*corner, max(corner[0], other[0]), max(corner[1], other[1])), shape.colour)
        case Dot():
            x, y, radius = shape.x * _SCALE, shape.y * _SCALE, shape.radius * _SCALE
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), shape.colour)


def _write(sheet: Image.Image, words: Words) -> None:
    text, font = lettered(words.text, words.size_px, words.most_px)
    if not words.is_upright:
        ImageDraw.Draw(sheet).text((words.x, words.y), text, words.colour, font, f"{_ANCHORS[words.anchor][1]}m")
        return
    width = math.ceil(font.getlength(text))
    mask = Image.new("L", (width + 2, math.ceil(words.size_px * 1.6)))
    ImageDraw.Draw(mask).text((1, mask.height / 2), text, 255, font, "lm")
    turned = mask.rotate(90, expand=True)
    below = {"left": 0.0, "middle": turned.height / 2, "right": float(turned.height)}[words.anchor]
    where = (round(words.x - turned.width / 2), round(words.y - turned.height + below))
    sheet.paste(Image.new("RGB", turned.size, words.colour), where, turned)


def _dashes(points: list[Point]) -> list[list[Point]]:
    """Every second stretch of a line."""
    dash, stretches, left, is_on = _DASH_PX * _SCALE, list[list[Point]](), _DASH_PX * _SCALE, True
    current = points[:1]
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        while (length := math.hypot(to_x - x, to_y - y)) > left:
            x, y = x + (to_x - x) * left / length, y + (to_y - y) * left / length
            stretches += [[*current, (x, y)]] if is_on else []
            current, left, is_on = [(x, y)], dash, not is_on
        left -= length
        current.append((to_x, to_y))
    return [*stretches, current] if is_on and len(current) > 1 else stretches


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(text: str) -> str:
    return escape(visible(text))
