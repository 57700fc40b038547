"""What may stand at the bottom of a picture: trees, hills, roofs, wires."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from demo.sky import Array, Sky, clouds, planes, smooth, stretched, tone


def add_horizon(rng: np.random.Generator, sky: Sky) -> Array:
    """The sky's picture with a horizon in front of it; most pictures get none."""
    picture = sky.pixels.copy()
    pick = rng.random()
    if pick < 0.62:
        return picture
    dim = {"dusk": 0.38, "overcast": 0.72, "haze": 0.85}.get(sky.kind, 1.0)
    if pick < 0.80:
        if rng.random() < 0.5:
            picture = _hills(rng, picture, dim)
        return _trees(rng, picture, dim)
    if pick < 0.87:
        return _hills(rng, picture, dim)
    if pick < 0.96:
        return _roofs(rng, picture, dim)
    return _wires(rng, picture)


def _ridge(rng: np.random.Generator, width: int, cells: float, octaves: int) -> Array:
    """One line of noise, as a skyline."""
    line: Array = clouds(rng, width, 2, (cells, 1), octaves, 0.5)[0]
    return line


def _hills(rng: np.random.Generator, picture: Array, dim: float) -> Array:
    """Ranges behind each other, each nearer one darker, wooded and less hazy."""
    height, width = picture.shape[1:]
    # Nothing stands higher than this, and half a picture is half the work.
    band = picture[:, int(height * 0.6) :]
    rows = np.arange(int(height * 0.6), height, dtype=np.float32)[:, None]
    base = rng.uniform(0.84, 0.93)
    haze = band.mean(axis=(1, 2), keepdims=True) * tone(0.88, 0.92, 1.0)
    green = tone(0.20, 0.25, 0.15) * rng.uniform(0.8, 1.3) * dim
    woods = clouds(rng, width, len(rows), (width / 16, len(rows) / 8), 3, 0.8)
    for clear in (0.28, 0.62, 0.9)[int(rng.integers(2)) :]:
        line = 0.9 * _ridge(rng, width, rng.uniform(0.6, 2.0), 3)
        line = line + clear * 0.10 * _ridge(rng, width, width / 16, 3)
        edge = height * (base - 0.028 * line)
        mask = smooth(rows - edge[None], 0.0, 1.5)
        bare = green * (clear + 0.13 * clear * woods) + haze * (1 - clear)
        band += mask * (bare - band)
        base += rng.uniform(0.03, 0.05)
    return picture


def _trees(rng: np.random.Generator, picture: Array, dim: float) -> Array:
    """Crowns whose rim is broken up by leaves, brighter where the sky reaches them."""
    height, width = picture.shape[1:]
    band = picture[:, int(height * 0.6) :]
    rows = np.arange(int(height * 0.6), height, dtype=np.float32)[:, None]
    crowns = 0.75 * _ridge(rng, width, rng.uniform(2, 7), 3) + 0.35 * _ridge(rng, width, 16, 4)
    edge = height * (rng.uniform(0.84, 0.98) - rng.uniform(0.015, 0.045) * crowns)
    leaves = clouds(rng, width, len(rows), (width / 22, len(rows) / 22), 4, 0.85)
    inside = rows - edge[None] + leaves * height * 0.009
    mask = smooth(inside, -0.4, 1.8)
    tones = ((0.19, 0.25, 0.12), (0.25, 0.28, 0.13), (0.15, 0.20, 0.14), (0.29, 0.25, 0.14))
    colour = tone(*tones[int(rng.integers(len(tones)))]) * rng.uniform(0.8, 1.25) * dim
    bulk = stretched(rng.standard_normal((6, 18), dtype=np.float32), width, len(rows))
    lit = 0.8 + 0.16 * leaves + 0.10 * bulk
    lit = lit + 0.4 * np.exp(-np.clip(inside, 0, None) / (0.03 * height))
    air = rng.uniform(0.04, 0.24)
    foliage = np.clip(lit, 0.4, 1.7) * (colour * (1 - air))
    band += mask * (foliage + air * band.mean(axis=(1, 2), keepdims=True) - band)
    return picture


def _roofs(rng: np.random.Generator, picture: Array, dim: float) -> Array:
    """A row of houses up to their first floor, drawn large and shrunk for clean edges."""
    height, width = picture.shape[1:]
    wide, high = width * 2, height * 2
    layer = Image.new("RGBA", (wide, high))
    pen = ImageDraw.Draw(layer)
    tiles = ((132, 78, 62), (100, 94, 94), (114, 70, 58), (80, 84, 92), (142, 100, 76))
    ground = high * rng.uniform(0.88, 0.98)
    left = -wide * rng.uniform(0.0, 0.2)
    while left < wide:
        right = left + wide * rng.uniform(0.24, 0.46)
        eaves = ground + high * rng.uniform(-0.05, 0.02)
        ridge = eaves - high * rng.uniform(0.07, 0.14)
        tile = _dimmed(tiles[int(rng.integers(len(tiles)))], dim * rng.uniform(0.8, 1.1))
        _roof_top(rng, pen, (left, ridge, right, eaves), (wide, high), dim)
        _front(rng, pen, (left, eaves, right, high), dim)
        inset = (right - left) * (0.5 if rng.random() < 0.4 else rng.uniform(0.06, 0.16))
        pen.polygon((left, eaves, left + inset, ridge, right - inset, ridge, right, eaves), tile)
        for course in range(1, 9):
            level = ridge + (eaves - ridge) * course / 9
            slip = inset * (1 - course / 9)
            pen.line((left + slip, level, right - slip, level), fill=_dimmed(tile, 0.92))
        pen.line((left, eaves, right, eaves), fill=_dimmed(tile, 0.5), width=max(2, high // 180))
        left = right - wide * rng.uniform(-0.04, 0.04)
    start = height // 2
    band, cut = picture[:, start:], planes(layer.reduce(2).crop((0, start, width, height)))
    worn = 1 + 0.05 * clouds(rng, width, height - start, (width / 20, height / 40), 3, 0.8)
    band += cut[:3] * worn - band * cut[3]
    return picture


def _roof_top(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    dim: float,
) -> None:
    """What stands out above a ridge: a chimney, an aerial, both or nothing."""
    left, ridge, right, eaves = box
    wide, high = size
    if rng.random() < 0.6:
        stack = left + (right - left) * rng.uniform(0.25, 0.7)
        brick = _dimmed((118, 86, 74), dim)
        pen.rectangle((stack, ridge - high * 0.035, stack + wide * 0.026, eaves), fill=brick)
        rim = (stack - wide * 0.003, ridge - high * 0.04, stack + wide * 0.029, ridge - high * 0.03)
        pen.rectangle(rim, fill=_dimmed(brick, 0.75))
    if rng.random() < 0.3:
        mast = left + (right - left) * rng.uniform(0.3, 0.7)
        metal, thick = (60, 60, 62, 255), max(1, wide // 400)
        pen.line((mast, ridge - high * 0.09, mast, eaves), fill=metal, width=thick)
        for rung in range(3):
            level, arm = ridge - high * (0.085 - 0.018 * rung), wide * 0.02
            pen.line((mast - arm, level, mast + arm, level), fill=metal, width=thick)


def _front(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    dim: float,
) -> None:
    """A wall with a row of windows, as far as the picture shows it."""
    left, eaves, right, bottom = box
    walls = ((206, 196, 178), (186, 178, 168), (222, 214, 200), (160, 118, 98))
    wall = _dimmed(walls[int(rng.integers(len(walls)))], dim * rng.uniform(0.7, 0.95))
    if eaves >= bottom:
        return
    breadth = right - left
    pen.rectangle((left + breadth * 0.05, eaves, right - breadth * 0.05, bottom), fill=wall)
    count = int(rng.integers(2, 5))
    pane = breadth * 0.34 / count
    for window in range(count):
        middle = left + breadth * (0.12 + 0.76 * (window + 0.5) / count)
        top, low = eaves + pane * 0.5, eaves + pane * 1.9
        pen.rectangle(
            (middle - pane * 0.62, top - pane * 0.12, middle + pane * 0.62, low + pane * 0.12),
            fill=_dimmed((232, 230, 224), dim),
        )
        glass = (middle - pane / 2, top, middle + pane / 2, low)
        pen.rectangle(glass, fill=_dimmed((64, 72, 84), dim))


def _dimmed(colour: tuple[int, ...], factor: float) -> tuple[int, int, int, int]:
    red, green, blue = (max(0, min(255, int(part * factor))) for part in colour[:3])
    return red, green, blue, 255


def _wires(rng: np.random.Generator, picture: Array) -> Array:
    """A few sagging power lines."""
    height, width = picture.shape[1:]
    layer = Image.new("L", (width * 3, height * 3))
    pen = ImageDraw.Draw(layer)
    start, slope = rng.uniform(0.6, 0.9), rng.uniform(-0.15, 0.15)
    along = np.linspace(0, 1, 24)
    for wire in range(int(rng.integers(2, 5))):
        sag = 0.10 * (along - rng.uniform(0.3, 0.7)) ** 2
        level = (start + 0.045 * wire + slope * along - sag) * height * 3
        points = np.stack([along * width * 3, level], axis=1).reshape(-1).tolist()
        pen.line(points, fill=225, width=max(2, width // 160))
    mask = np.asarray(layer.reduce(3), dtype=np.float32) / 255
    strung: Array = picture + mask * (tone(0.13, 0.13, 0.15) - picture)
    return strung
