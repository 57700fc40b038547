"""Copies of photos: of equal bytes, and the same picture re-encoded, resized, cut, turned, mirrored, marked or grey."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.planting.sources import Source
from benchmarks.planting.writing import Copy, Lake, Truth

Rgb = Image.Image
_ANGLE_DEG = 2.0
# One copy in so many lies in another class than its original.
_OTHER_CLASS = 6


def resized(image: Rgb, factor: float, rng: np.random.Generator) -> Rgb:
    """At `factor` of its size."""
    size = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS if rng.random() < 0.5 else Image.Resampling.BICUBIC)


def cropped(image: Rgb, share: float, rng: np.random.Generator) -> Rgb:
    """Without `share` of its width and of its height, taken from the four sides in random parts."""
    wide, high = round(image.width * share), round(image.height * share)
    left, top = int(rng.integers(0, wide + 1)), int(rng.integers(0, high + 1))
    return image.crop((left, top, image.width - wide + left, image.height - high + top))


def cropped_all_round(image: Rgb, share: float) -> Rgb:
    """Without `share` of its width on the left and on the right, and of its height above and below."""
    wide, high = round(image.width * share), round(image.height * share)
    return image.crop((wide, high, image.width - wide, image.height - high))


def turned(image: Rgb, corners: str, rng: np.random.Generator) -> Rgb:
    """Turned by 2 degrees to either side; corners cut off, black, white, or filled from the edge."""
    angle = _ANGLE_DEG if rng.random() < 0.5 else -_ANGLE_DEG
    width, height = image.size
    bicubic = Image.Resampling.BICUBIC
    if corners == "edge":
        pad = max(width, height) // 20 + 2
        pixels = np.pad(np.asarray(image), ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        whole = Image.fromarray(pixels).rotate(angle, bicubic)
        return whole.crop((pad, pad, pad + width, pad + height))
    if corners in ("black", "white"):
        return image.rotate(angle, bicubic, fillcolor=corners)
    # The largest upright rectangle of the same shape inside the turned picture.
    radians, ratio = np.deg2rad(_ANGLE_DEG), max(width, height) / min(width, height)
    scale = 1 / (np.cos(radians) + ratio * np.sin(radians))
    wide, high = width * (1 - scale) / 2, height * (1 - scale) / 2
    return image.rotate(angle, bicubic).crop((round(wide), round(high), round(width - wide), round(height - high)))


def text_marked(image: Rgb, rng: np.random.Generator) -> Rgb:
    """With half transparent words over it: a line of them across, or one in a corner."""
    size = max(10, round(min(image.size) * rng.uniform(0.07, 0.14)))
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    text = str(rng.choice(["© photo agency", "SAMPLE", "www.pictures.example", "stock photo"]))
    colour = (255, 255, 255, 130) if rng.random() < 0.7 else (20, 20, 20, 130)
    centre = rng.random() < 0.6
    place = (image.width / 2, image.height / 2) if centre else (image.width * 0.97, image.height * 0.97)
    draw.text(place, text, fill=colour, font=ImageFont.load_default(size), anchor="mm" if centre else "rs")
    if centre and rng.random() < 0.5:
        layer = layer.rotate(float(rng.uniform(15, 40)), Image.Resampling.BICUBIC)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def logo_marked(image: Rgb, rng: np.random.Generator) -> Rgb:
    """With an opaque badge in a corner, an eighth to a fifth of the shorter side wide."""
    side = round(min(image.size) * rng.uniform(0.125, 0.2))
    gap = max(1, side // 5)
    left = gap if rng.random() < 0.5 else image.width - side - gap
    top = gap if rng.random() < 0.5 else image.height - side - gap
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    colour = tuple(int(level) for level in rng.integers(0, 256, 3))
    draw.ellipse((left, top, left + side, top + side), fill=colour)
    draw.text(
        (left + side / 2, top + side / 2), "Q", fill="white", font=ImageFont.load_default(side * 0.6), anchor="mm"
    )
    return marked


def _jpeg(image: Rgb, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


Make = Callable[[Rgb, np.random.Generator], Rgb]
# What is done to the picture, and the quality at which it is saved again.
NEAR_KINDS: dict[str, tuple[Make, int]] = {
    "JPEG quality 30": (lambda image, rng: image, 30),
    "JPEG quality 50": (lambda image, rng: image, 50),
    "JPEG quality 75": (lambda image, rng: image, 75),
    "JPEG quality 95": (lambda image, rng: image, 95),
    "resize to 50%": (lambda image, rng: resized(image, 0.5, rng), 88),
    "resize to 75%": (lambda image, rng: resized(image, 0.75, rng), 88),
    "resize to 150%": (lambda image, rng: resized(image, 1.5, rng), 88),
    "resize to 200%": (lambda image, rng: resized(image, 2.0, rng), 88),
    "crop 5% of width and height": (lambda image, rng: cropped(image, 0.05, rng), 88),
    "crop 5% off every side": (lambda image, rng: cropped_all_round(image, 0.05), 88),
    "turn 2 degrees, corners cut off": (lambda image, rng: turned(image, "cut", rng), 88),
    "turn 2 degrees, corners black": (lambda image, rng: turned(image, "black", rng), 88),
    "turn 2 degrees, corners white": (lambda image, rng: turned(image, "white", rng), 88),
    "turn 2 degrees, corners from edge": (lambda image, rng: turned(image, "edge", rng), 88),
    "mirror": (lambda image, rng: ImageOps.mirror(image), 88),
    "watermark, text": (text_marked, 88),
    "watermark, logo": (logo_marked, 88),
    "greyscale": (lambda image, rng: image.convert("L"), 88),
}


def plant_copies(root: Path, sources: Sequence[Source], seed: int, copies_per_original: int = 3) -> Truth:
    """A lake of the photos, half of which have that many near copies each, and a tenth of which have exact copies.

    Each kind is there about equally often, on photos by chance; an original has no kind twice.
    """
    rng = np.random.default_rng(seed)
    lake = Lake(root)
    labels = sorted({source.label for source in sources})
    written = [(source, lake.write_source(source)) for source in sources]
    half = len(written) // 2
    if not 0 < copies_per_original <= len(NEAR_KINDS):
        raise ValueError(f"copies_per_original must lie in 1..{len(NEAR_KINDS)}, not {copies_per_original}")
    deck: list[str] = []
    for source, original in written[:half]:
        image = source.image()
        # A deck shuffled anew each time: kinds in a fixed turn would fall on photos of one class or one lake only.
        if len(deck) < copies_per_original:
            deck = [*deck, *_shuffled(set(NEAR_KINDS) - set(deck), rng), *_shuffled(set(deck), rng)]
        kinds, deck = deck[:copies_per_original], deck[copies_per_original:]
        for kind in kinds:
            make, quality = NEAR_KINDS[kind]
            label = _label(source, labels, rng)
            path = lake.write(label, _jpeg(make(image, rng), quality), ".jpg", source.name)
            lake.truth.near.append(Copy(path, original, kind, label == source.label))
    for number, (source, original) in enumerate(written[half : half + max(4, len(written) // 10)]):
        others = [label for label in labels if label != source.label]
        label = others[int(rng.integers(len(others)))] if others and number % 2 else source.label
        path = lake.write(label, source.data, source.suffix, source.name)
        kind = "same class" if label == source.label else "another class"
        lake.truth.exact.append(Copy(path, original, kind, label == source.label))
    return lake.truth


def _shuffled(kinds: set[str], rng: np.random.Generator) -> list[str]:
    return [str(kind) for kind in rng.permutation(sorted(kinds))]


def _label(source: Source, labels: Sequence[str], rng: np.random.Generator) -> str:
    others = [label for label in labels if label != source.label]
    if others and rng.integers(_OTHER_CLASS) == 0:
        return others[int(rng.integers(len(others)))]
    return source.label
