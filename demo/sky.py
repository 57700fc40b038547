"""Skies for the drawn lake: gradients, clouds and sun, with the light that fits them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.render import Light

Array = NDArray[Any]

KINDS = ("clear", "cumulus", "cirrus", "overcast", "haze", "dusk")
_ODDS = (0.20, 0.29, 0.14, 0.15, 0.10, 0.12)

# (zenith, horizon) pairs of each kind, 0..255.
_GRADIENTS = {
    "clear": (
        ((40, 98, 178), (164, 200, 228)),
        ((66, 130, 205), (190, 216, 234)),
        ((28, 78, 150), (120, 170, 214)),
        ((84, 150, 200), (206, 224, 228)),
    ),
    "cumulus": (
        ((46, 104, 180), (158, 194, 224)),
        ((62, 120, 190), (176, 206, 228)),
        ((36, 88, 160), (140, 182, 216)),
    ),
    "cirrus": (
        ((52, 110, 184), (182, 208, 228)),
        ((74, 132, 196), (204, 218, 226)),
        ((44, 92, 160), (168, 190, 212)),
    ),
    "overcast": (
        ((150, 156, 164), (196, 200, 203)),
        ((172, 178, 184), (216, 218, 218)),
        ((118, 126, 136), (176, 182, 186)),
    ),
    "haze": (
        ((168, 186, 202), (224, 222, 212)),
        ((184, 190, 192), (226, 218, 202)),
        ((150, 174, 194), (210, 216, 214)),
    ),
    "dusk": (
        ((46, 62, 110), (242, 164, 104)),
        ((70, 78, 128), (246, 190, 132)),
        ((58, 76, 126), (232, 140, 112)),
        ((34, 52, 96), (206, 150, 140)),
    ),
}


@dataclass(frozen=True)
class Sky:
    """A picture of a sky (3 x height x width, 0..1) and the light in it."""

    pixels: Array
    light: Light
    kind: str


def tone(red: float, green: float, blue: float) -> Array:
    """A colour that spreads over planes (numpy is far slower with the colours innermost)."""
    return np.array((red, green, blue), dtype=np.float32)[:, None, None]


def planes(image: Image.Image) -> Array:
    """A picture with alpha as four planes 0..1, colours multiplied by alpha."""
    bands = [np.asarray(band) for band in image.convert("RGBa").split()]
    return np.stack(bands).astype(np.float32) / 255


def stretched(grid: Array, width: int, height: int) -> Array:
    """A small field enlarged smoothly."""
    small = Image.fromarray(grid.astype(np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def clouds(
    rng: np.random.Generator,
    width: int,
    height: int,
    cells: tuple[float, float],
    octaves: int = 6,
    gain: float = 0.52,
) -> Array:
    """Noise of many octaves with mean 0 and deviation near 1; `cells` are of the first octave."""
    total = np.zeros((height, width), dtype=np.float32)
    weight = 1.0
    for octave in range(octaves):
        across = int(cells[0] * 2**octave) + 2
        down = int(cells[1] * 2**octave) + 2
        if octave and (across > width or down > height):
            break
        grid = rng.standard_normal((down, across), dtype=np.float32)
        total += weight * stretched(grid, width, height)
        weight *= gain
    total -= float(total.mean())
    total /= float(total.std()) + 1e-6
    return total


def _sampled(field: Array, rows: Array) -> Array:
    """Values at fractional rows of a field, mirrored at its rims."""
    last = field.shape[0] - 1
    rows = np.broadcast_to(last - np.abs(last - np.abs(rows)), field.shape)
    above = np.clip(rows.astype(int), 0, last - 1)
    share = (rows - above).astype(np.float32)
    upper = np.take_along_axis(field, above, axis=0)
    mixed: Array = upper + share * (np.take_along_axis(field, above + 1, axis=0) - upper)
    return mixed


def smooth(value: Array, low: float, high: float) -> Array:
    """A soft step from 0 at `low` to 1 at `high`."""
    share = np.clip((value - low) / (high - low), 0, 1)
    stepped: Array = share * share * (3 - 2 * share)
    return stepped


def make_sky(rng: np.random.Generator, width: int, height: int) -> Sky:
    """A sky of a random kind, lit from a random side."""
    kind = KINDS[int(rng.choice(len(KINDS), p=_ODDS))]
    palette = _GRADIENTS[kind]
    zenith, horizon = (tone(*c) / 255 for c in palette[int(rng.integers(len(palette)))])
    azimuth = rng.uniform(-np.pi, np.pi)
    altitude = rng.uniform(0.03, 0.15) if kind == "dusk" else rng.uniform(0.35, 1.2)

    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, width, dtype=np.float32)[None]
    # How much of the sky dome is in the picture: a long lens sees nearly one colour.
    top, bottom = rng.uniform(0.0, 0.35), rng.uniform(0.6, 1.0)
    fall = (top + (bottom - top) * rows) ** rng.uniform(1.0, 1.7)
    fall = np.clip(fall + 0.10 * float(np.sin(azimuth)) * (columns - 0.5), 0, 1)
    picture = zenith + (horizon - zenith) * fall

    warm = tone(1.0, 0.62, 0.36) if kind == "dusk" else tone(1.0, 0.96, 0.88)
    if kind == "cumulus":
        picture = _cumulus(rng, picture, azimuth, warm)
    elif kind in ("cirrus", "dusk"):
        picture = _cirrus(rng, picture, warm, kind == "dusk")
    elif kind == "overcast":
        picture = _overcast(rng, picture)
    if kind in ("clear", "haze", "dusk") and np.cos(azimuth) > 0.3 and rng.random() < 0.5:
        picture = _sun_glow(picture, azimuth, warm, kind)

    bright = {"overcast": 0.16, "haze": 0.42, "dusk": 0.50, "cirrus": 0.66}.get(kind, 0.80)
    toward = np.array(
        [
            np.sin(azimuth) * np.cos(altitude),
            np.cos(azimuth) * np.cos(altitude),
            np.sin(altitude),
        ]
    )
    mean = picture.mean(axis=(1, 2))
    ground = np.array([0.44, 0.44, 0.40]) * (0.55 if kind == "dusk" else 1.0)
    light = Light(
        sun=toward,
        sunlight=warm[:, 0, 0] * bright * rng.uniform(0.85, 1.1),
        skylight=0.18 + 0.55 * mean,
        groundlight=ground * rng.uniform(0.8, 1.5) + 0.10 * mean,
    )
    return Sky(picture, light, kind)


def _cumulus(rng: np.random.Generator, picture: Array, azimuth: float, warm: Array) -> Array:
    """Heaped clouds: lit towards the sun, blue-grey underneath, smaller towards the horizon."""
    height, width = picture.shape[1:]
    # Soft clouds hold at half size, where noise costs a quarter.
    wide, high = max(width // 2, 16), max(height // 2, 12)
    size = rng.uniform(1.2, 3.4)
    field = clouds(rng, wide, high, (size, size * rng.uniform(0.8, 1.3)), 7, 0.5)
    down = np.linspace(0, 1, high, dtype=np.float32)
    squeeze = rng.uniform(0.0, 0.45)
    field = _sampled(field, ((1 - squeeze) * down + squeeze * down**2)[:, None] * (high - 1))
    cover = rng.uniform(-0.4, 0.9)
    wisps = stretched(field, width, height)
    wisps = wisps + 0.09 * clouds(rng, width, height, (width / 12, height / 12), 2, 0.7)
    density = smooth(wisps, cover, cover + rng.uniform(0.35, 1.0))
    reach = max(high // 22, 1)
    side = round(float(np.sin(azimuth)) * reach)
    margins = ((reach, 0), (max(side, 0), max(-side, 0)))
    toward_sun = np.pad(field, margins, mode="edge")[:high, max(-side, 0) :][:, :wide]
    lit = np.clip(0.62 + 0.75 * (field - toward_sun) - 0.16 * np.clip(field - cover, 0, 2), 0, 1)
    shadow = tone(0.56, 0.61, 0.69) * rng.uniform(0.85, 1.08)
    tops = 0.97 * (0.5 + 0.5 * warm)
    colour = shadow + (tops - shadow) * stretched(lit, width, height)
    blended: Array = picture + density * rng.uniform(0.85, 1.0) * (colour - picture)
    return blended


def _cirrus(rng: np.random.Generator, picture: Array, warm: Array, low_sun: bool) -> Array:
    """Thin streaks; under a low sun they glow below and are dark above."""
    height, width = picture.shape[1:]
    wide, high = max(width // 2, 16), max(height // 2, 12)
    field = clouds(rng, wide, high, (rng.uniform(0.6, 1.6), rng.uniform(2, 6)), 6, 0.6)
    slant = rng.uniform(-0.35, 0.35)
    field = _sampled(field, np.arange(high)[:, None] + slant * (np.arange(wide)[None] - wide / 2))
    veil = smooth(field, rng.uniform(-0.4, 0.6), 2.4) * rng.uniform(0.45, 0.85)
    mask = np.clip(stretched(veil, width, height), 0, 1)
    colour: Array = tone(0.97, 0.98, 1.0)
    if low_sun:
        rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        colour = tone(0.42, 0.36, 0.44) + rows * (warm - tone(0.42, 0.36, 0.44))
    blended: Array = picture + mask * (colour - picture)
    return blended


def _overcast(rng: np.random.Generator, picture: Array) -> Array:
    height, width = picture.shape[1:]
    wide, high = max(width // 2, 16), max(height // 2, 12)
    field = clouds(rng, wide, high, (rng.uniform(1, 2.5), rng.uniform(2, 4)), 6, 0.5)
    swell = stretched(field, width, height) * rng.uniform(0.012, 0.055)
    lumpy: Array = picture + swell * tone(1.0, 0.99, 0.95)
    return lumpy


def _sun_glow(picture: Array, azimuth: float, warm: Array, kind: str) -> Array:
    height, width = picture.shape[1:]
    across = 0.5 + 0.75 * float(np.sin(azimuth))
    down = 0.88 if kind == "dusk" else 0.12
    rows = (np.linspace(0, 1, height, dtype=np.float32)[:, None] - down) * height / width
    columns = np.linspace(0, 1, width, dtype=np.float32)[None] - across
    far = np.sqrt(rows**2 + columns**2)
    glow = 0.34 * np.exp(-far / 0.28) + 0.7 * np.exp(-((far / 0.07) ** 2))
    shone: Array = picture + glow * warm
    return shone
