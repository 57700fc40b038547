"""One picture of the lake: a sky, a flyer before it, and what a camera makes of both."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from PIL import Image, ImageFilter

from demo.birds import bird, random_species
from demo.copters import large_quadcopter, small_quadcopter
from demo.horizon import add_horizon
from demo.mesh import Array, Colour, Model
from demo.render import render, turned
from demo.sky import Sky, make_sky, planes, stretched, tone
from demo.winged import winged_drone

CLASSES = ("flying_bird", "large_quadcopter", "small_quadcopter", "winged_drone")

# Share of the picture's width a flyer takes up. The ranges overlap, as they do in life.
_SIZES = {
    "flying_bird": (0.26, 0.76),
    "large_quadcopter": (0.40, 0.86),
    "small_quadcopter": (0.28, 0.62),
    "winged_drone": (0.30, 0.86),
}


def draw_photo(label: str, seed: int, size_px: tuple[int, int] = (480, 360)) -> Image.Image:
    """One RGB picture: the flyer of that class over a sky; the same seed gives the same pixels."""
    if label not in CLASSES:
        raise ValueError(f"unknown label {label!r}: expected one of {', '.join(CLASSES)}")
    # crc32 and not hash(): the latter changes from one Python process to the next.
    rng = np.random.default_rng([seed, crc32(label.encode())])
    width, height = size_px
    sky = make_sky(rng, width, height)
    picture = add_horizon(rng, sky)
    low, high = _SIZES[label]
    share = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    taken: list[tuple[float, float, float]] = []
    for model, attitude, scale in _flyers(rng, label):
        _place(rng, picture, sky, model, attitude, max(share * scale * width, 9.0), taken)
    return _developed(rng, picture)


def _flyers(rng: np.random.Generator, label: str) -> list[tuple[Model, Array, float]]:
    """The models of one picture, how they are turned, and their size beside each other."""
    heading = rng.uniform(-np.pi, np.pi)
    if label == "flying_bird":
        species = random_species(rng)
        count = 1 if rng.random() < 0.78 else int(rng.integers(2, 4))
        flock = []
        for _ in range(count):
            towards = heading + rng.normal(0, 0.25)
            attitude = turned(towards, rng.normal(0.05, 0.18), rng.normal(0, 0.35))
            flock.append((bird(rng, species), attitude, 1.0 if count == 1 else 0.55))
        return flock
    if label == "winged_drone":
        attitude = turned(heading, rng.normal(0.04, 0.14), rng.normal(0, 0.35))
        return [(winged_drone(rng), attitude, 1.0)]
    attitude = turned(heading, rng.normal(-0.05, 0.14), rng.normal(0, 0.14))
    build = large_quadcopter if label == "large_quadcopter" else small_quadcopter
    return [(build(rng), attitude, 1.0)]


def _place(
    rng: np.random.Generator,
    picture: Array,
    sky: Sky,
    model: Model,
    attitude: Array,
    size: float,
    taken: list[tuple[float, float, float]],
) -> None:
    """Draw one flyer into the picture, blurred by its motion and paled by the air between."""
    height, width = picture.shape[1:]
    # Mostly from below: wings that are seen edge-on are hardly seen at all.
    elevation = float(np.clip(rng.normal(0.5, 0.34), -0.4, 1.3))
    drawn = render(model, attitude, elevation, sky.light, size)
    patch = drawn.patch
    soften = rng.uniform(0.0, 0.004) * size
    if soften > 0.25:
        # Pillow's premultiplied mode keeps the black of empty pixels out of the rim.
        patch = patch.convert("RGBa").filter(ImageFilter.GaussianBlur(soften))
    colours = planes(patch)
    if rng.random() < 0.3:
        colours = _moved(colours, rng.uniform(0, 2 * np.pi), rng.uniform(0.01, 0.035) * size)

    down, across = colours.shape[1:]
    for _ in range(8):
        left, top = _position(rng, width, across), _position(rng, height, down)
        x, y = left + across / 2, top + down / 2
        # Birds of a flock keep clear of each other; one without a free place stays away.
        if all(np.hypot(x - u, y - v) > 0.42 * (size + other) for u, v, other in taken):
            break
    else:
        return
    taken.append((x, y, size))
    up, low = max(top, 0), min(top + down, height)
    west, east = max(left, 0), min(left + across, width)
    inside = colours[:, up - top : low - top, west - left : east - left]
    behind = picture[:, up:low, west:east]
    far = 1 - min(size / (0.6 * width), 1.0)
    pale = rng.uniform(0.02, 0.10) + 0.16 * far * rng.random() + 0.12 * (sky.kind == "haze")
    cover = inside[3]
    # The air adds its own light over the flyer, as much as it takes away.
    air = behind.mean(axis=(1, 2), keepdims=True) * pale * cover
    behind += inside[:3] * (1 - pale) + air - behind * cover
    for x, y, colour in drawn.lamps:
        _glow(picture, left + x, top + y, max(size * 0.011, 0.9), colour)


def _position(rng: np.random.Generator, room: int, length: int) -> int:
    """Nearer the middle than the rim; now and then a flyer leaves the picture a little."""
    spare = room - length
    place = rng.beta(2.2, 2.2) * spare
    if spare > 0 and rng.random() < 0.03:
        place = -0.12 * length if rng.random() < 0.5 else spare + 0.12 * length
    return int(place)


def _moved(patch: Array, direction: float, length: float) -> Array:
    """The mean of the patch along a short way."""
    steps = int(np.clip(np.ceil(length), 2, 9))
    reach = int(np.ceil(length / 2)) + 1
    padded = np.pad(patch, ((0, 0), (reach, reach), (reach, reach)))
    total = np.zeros_like(padded)
    for step in np.linspace(-length / 2, length / 2, steps):
        shift = (round(step * np.sin(direction)), round(step * np.cos(direction)))
        total += np.roll(padded, shift, axis=(1, 2))
    mean: Array = total / steps
    return mean


def _glow(picture: Array, x: float, y: float, radius: float, colour: Colour) -> None:
    height, width = picture.shape[1:]
    reach = int(5 * radius) + 1
    rows = np.arange(max(int(y) - reach, 0), min(int(y) + reach, height))
    columns = np.arange(max(int(x) - reach, 0), min(int(x) + reach, width))
    if not len(rows) or not len(columns):
        return
    far = (rows[:, None] - y) ** 2 + (columns[None] - x) ** 2
    light = 0.9 * np.exp(-far / radius**2) + 0.16 * np.exp(-far / (3 * radius) ** 2)
    # The core of a lamp burns out to white.
    tint = tone(*colour) * light + 0.5 * light**3
    picture[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += tint.astype(np.float32)


def _developed(rng: np.random.Generator, picture: Array) -> Image.Image:
    """Exposure, white balance, vignette, sensor noise and the softness of a lens."""
    height, width = picture.shape[1:]
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
    vignette = 1 - rng.uniform(0.0, 0.16) * (rows**2 + columns**2)
    balance = rng.uniform(0.94, 1.18) * (1 + rng.normal(0, 0.025, 3))
    picture = picture * tone(*balance) * vignette
    # A gentle shoulder, so that bright clouds do not clip flat.
    over = np.clip(picture - 0.8, 0, None)
    picture -= over
    picture += over / (1 + over * 5)
    contrast = rng.uniform(0.94, 1.12)
    picture *= contrast
    grain = 0.003 + 0.016 * rng.random() ** 2
    noise = rng.standard_normal((height, width), dtype=np.float32)
    coarse = rng.standard_normal((max(height // 4, 2), max(width // 4, 2)), dtype=np.float32)
    # Colour noise is coarser than brightness noise in what cameras save.
    hue = stretched(coarse, width, height) * tone(*rng.normal(0, 0.5, 3))
    picture += grain * (noise + hue) + (0.5 - 0.5 * contrast)
    bands = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    image = Image.merge("RGB", [Image.fromarray(band) for band in bands])
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.2, 0.6) * width / 480))
    return image
