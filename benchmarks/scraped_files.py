"""Which files a lake has that is scraped from search engines: classes, sizes, formats and copies.

Counts of classes and of the five sizes are those that such a collection, of four classes, was described with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

N_PHOTOS = 22_000
LABELS = {"bird": 8317, "drone": 5456, "ants": 4126, "bees": 3613}
# Shares of all files that are no photos of their own.
OTHERS = {"exact": 0.008, "near": 0.006, "other format": 0.002, "junk": 0.003, "broken": 0.003}


@dataclass(frozen=True, slots=True)
class Band:
    """Photos of about one size."""

    width_px: int
    height_px: int
    n: int  # of the collection
    spread: float  # of the side's logarithm
    quality: tuple[int, int]
    grain: tuple[int, int]  # standard deviations, in levels of 255


BANDS = (
    Band(344, 247, 14_130, 0.25, (70, 90), (0, 2)),
    Band(921, 640, 5_437, 0.25, (72, 90), (0, 3)),
    Band(1883, 1235, 1_104, 0.2, (78, 92), (1, 5)),
    Band(3406, 2579, 503, 0.15, (80, 93), (3, 8)),
    Band(5499, 3836, 338, 0.12, (82, 97), (3, 9)),
)
# (format, suffix, share): of the two smallest bands, and of the larger ones.
_FORMATS = (
    (
        ("JPEG", ".jpg", 0.865),
        ("JPEG", ".jpeg", 0.06),
        ("JPEG", ".JPG", 0.02),
        ("PNG", ".png", 0.035),
        ("WEBP", ".webp", 0.015),
        ("GIF", ".gif", 0.005),
    ),
    (("JPEG", ".jpg", 0.804), ("JPEG", ".jpeg", 0.06), ("JPEG", ".JPG", 0.13), ("PNG", ".png", 0.006)),
)
_PROGRESSIVE = 0.15  # of the JPEGs
_PORTRAIT, _SQUARE = 0.15, 0.13
_WITH_ALPHA = 0.3  # of the PNGs
_MAX_SIDE_PX, _LARGE_PX = 8000, 1500
_SEED = 22


@dataclass(frozen=True, slots=True)
class File:
    """A file to make."""

    path: str  # without a suffix where what is broken or junk brings its own
    kind: str  # "photo", "exact", "near", "other format", "junk" or "broken"
    number: int
    size: tuple[int, int] = (344, 258)
    form: str = "JPEG"
    quality: int = 85
    grain: int = 0
    progressive: bool = False
    alpha: bool = False
    of: str | None = None  # the path of the photo that it is a copy of


def plan(n_files: int, labels: Sequence[str], bands: Sequence[Band] = BANDS) -> list[File]:
    """Which files there are."""
    rng = np.random.default_rng([_SEED, n_files])
    others = [kind for kind, share in OTHERS.items() for _ in range(round(n_files * share))]
    kinds = ["photo"] * (n_files - len(others)) + others
    of_band = rng.permutation(_apportioned(len(kinds) - len(others), [band.n for band in bands]))
    of_class = rng.permutation(_apportioned(len(kinds), [LABELS.get(label, 1) for label in labels]))
    files = [_photo(number, labels[of_class[number]], bands[band], rng) for number, band in enumerate(of_band)]
    small = [file for file in files if max(file.size) < _LARGE_PX]
    for number in range(len(files), n_files):
        label = labels[of_class[number]]
        if kinds[number] in ("junk", "broken"):
            files.append(File(f"{label}/{number:05d}", kinds[number], number))
            continue
        original = small.pop(int(rng.integers(len(small))))
        files.append(_copy(kinds[number], number, original, label))
    return files


def _photo(number: int, label: str, band: Band, rng: np.random.Generator) -> File:
    scale, skew = np.exp(rng.normal(0, band.spread)), np.exp(rng.normal(0, 0.08))
    width, height = band.width_px * scale * skew, band.height_px * scale / skew
    shape = rng.random()
    if shape < _SQUARE:
        width = height = (width * height) ** 0.5
    elif shape < _SQUARE + _PORTRAIT:
        width, height = height, width
    formats = _FORMATS[band.width_px > _LARGE_PX]
    form, suffix, _ = formats[int(rng.choice(len(formats), p=[share for _, _, share in formats]))]
    return File(
        path=f"{label}/{number:05d}{suffix}",
        kind="photo",
        number=number,
        size=(min(round(width), _MAX_SIDE_PX), min(round(height), _MAX_SIDE_PX)),
        form=form,
        quality=int(rng.integers(*band.quality, endpoint=True)),
        grain=int(rng.integers(*band.grain, endpoint=True)),
        progressive=form == "JPEG" and bool(rng.random() < _PROGRESSIVE),
        alpha=form == "PNG" and bool(rng.random() < _WITH_ALPHA),
    )


def _copy(kind: str, number: int, original: File, label: str) -> File:
    folder, _, name = original.path.partition("/")
    stem, _, suffix = name.partition(".")
    if kind == "other format":  # of the same stem, beside it
        form, suffix = ("PNG", "png") if original.form == "JPEG" else ("JPEG", "jpg")
        return replace(
            original, path=f"{folder}/{stem}.{suffix}", kind=kind, number=number, form=form, of=original.path
        )
    # One exact copy in eight lies in whichever class comes: two teams have found one photo.
    folder = label if kind == "exact" and number % 8 == 0 else folder
    suffix = suffix if kind == "exact" else "jpg"
    return replace(original, path=f"{folder}/{number:05d}.{suffix}", kind=kind, number=number, of=original.path)


def _apportioned(n: int, weights: Sequence[int]) -> list[int]:
    """`n` indices, each as often as its weight asks for."""
    ends = np.round(np.cumsum(weights) / sum(weights) * n).astype(int)
    return [int(index) for index in np.searchsorted(ends, np.arange(n), side="right")]
