"""What a lake is made of, counted and measured from the snapshot's tables: the facts that the overview page tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import polars as pl

from fledged.scanning.provenance import COLUMNS

# Which format a file name promises; a name that promises none is never wrong.
PROMISED = (
    dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG")
    | dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM")
    | dict.fromkeys((".heic", ".heif", ".hif"), "HEIF")
    | dict.fromkeys((".tif", ".tiff"), "TIFF")
    | dict.fromkeys((".bmp", ".dib"), "BMP")
    | {".avif": "AVIF", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF"}
)
SHAPES = ("landscape", "portrait", "square")
FIGURES = ("brightness", "contrast", "sharpness")
_BINS = 24
_EXTENSION = pl.col("path").str.extract(r"[^/](\.[^./]+)$").fill_null("")  # as pathlib takes it


@dataclass(frozen=True, slots=True)
class Tables:
    """What a snapshot holds, before it is saved: `Snapshot.photos`, `.skipped` and `.changes`."""

    photos: pl.DataFrame
    skipped: pl.DataFrame
    changes: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Extension:
    """Files of one extension (lower case, "" for none) and the formats that their content has; most frequent first."""

    name: str
    n: int
    formats: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """File sizes of some photos, in bytes: extremes, 5%, quartiles and 95%, mean and standard deviation."""

    n: int
    low: int
    p5: float
    q1: float
    median: float
    q3: float
    p95: float
    high: int
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Upright sizes of some photos, in px, and how many there are of each of SHAPES."""

    width_median: float
    height_median: float
    shortest: int  # of the shorter sides
    longest: int  # of the longer sides
    shapes: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Light:
    """One of FIGURES over some photos: its median, and its histogram over the range of the whole lake."""

    median: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Colour:
    """Mean and standard deviation of red, green and blue, 0..1, over the pixels of all photos together."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def extensions(photos: pl.DataFrame) -> list[Extension]:
    """How many files of which extension, and what they really are."""
    counts: dict[str, Counter[str]] = {}
    for extension, format_, n in photos.group_by(_EXTENSION, pl.col("format").fill_null("unreadable")).len().rows():
        counts.setdefault(extension.lower(), Counter())[format_] += n
    rows = [Extension(name, of.total(), tuple(_ranked(of))) for name, of in counts.items()]
    return sorted(rows, key=lambda row: (-row.n, row.name))


def misnamed(photos: pl.DataFrame) -> pl.DataFrame:
    """path and real format of readable photos whose extension promises another one."""
    promised = _EXTENSION.str.to_lowercase().replace_strict(PROMISED, default=None, return_dtype=pl.String)
    return photos.filter(pl.col("error").is_null() & (promised != pl.col("format"))).select("path", "format")


def sizes(readable: pl.DataFrame) -> Sizes:
    """Of one photo or more."""
    n_bytes = readable["n_bytes"].to_numpy().astype(np.float64)
    low, p5, q1, median, q3, p95, high = np.percentile(n_bytes, [0, 5, 25, 50, 75, 95, 100]).tolist()
    return Sizes(
        len(n_bytes), int(low), p5, q1, median, q3, p95, int(high), float(n_bytes.mean()), float(n_bytes.std())
    )


def dimensions(readable: pl.DataFrame) -> Dimensions:
    """Of one photo or more."""
    width, height = readable["width_px"].to_numpy(), readable["height_px"].to_numpy()
    return Dimensions(
        width_median=float(np.median(width)),
        height_median=float(np.median(height)),
        shortest=int(np.minimum(width, height).min()),
        longest=int(np.maximum(width, height).max()),
        shapes=(int((width > height).sum()), int((width < height).sum()), int((width == height).sum())),
    )


def light(readable: pl.DataFrame, ranges: dict[str, float]) -> dict[str, Light]:
    """Each of FIGURES; histograms go from 0 to its value in `ranges`, and the last bin holds what lies above."""
    found = {}
    for name in FIGURES:
        values = readable[name].to_numpy()
        counts, _ = np.histogram(np.minimum(values, ranges[name]), bins=_BINS, range=(0, ranges[name]))
        found[name] = Light(float(np.median(values)), tuple(counts.tolist()))
    return found


def light_ranges(readable: pl.DataFrame) -> dict[str, float]:
    """Where the histograms of the whole lake end: 1 for brightness, 0.5 for contrast, nearly the sharpest photo."""
    sharpest = float(np.percentile(readable["sharpness"].to_numpy(), 99)) or 1.0
    return {"brightness": 1.0, "contrast": 0.5, "sharpness": sharpest}


def colour(readable: pl.DataFrame, *, by_pixels: bool) -> Colour:
    """Moments of all pixels together, each photo counting by its pixels or all photos alike.

    Pooled: the variance is that within photos and that between them. A mean of the photos' own standard deviations
    would be too small.
    """
    mean_N3 = readable["mean_rgb"].to_numpy().astype(np.float64)
    std_N3 = readable["std_rgb"].to_numpy().astype(np.float64)
    pixels_N = readable["width_px"].to_numpy().astype(np.float64) * readable["height_px"].to_numpy()
    weight_N = pixels_N / pixels_N.sum() if by_pixels else np.full(len(pixels_N), 1 / len(pixels_N))
    mean_3 = weight_N @ mean_N3
    std_3 = np.sqrt(np.maximum(weight_N @ (std_N3**2 + mean_N3**2) - mean_3**2, 0))
    return Colour((mean_3[0], mean_3[1], mean_3[2]), (std_3[0], std_3[1], std_3[2]))


def origins(photos: pl.DataFrame) -> dict[str, list[tuple[str, int]]]:
    """What is known of where photos came from, each the most frequent first: websites, engines, queries, types."""
    known = {
        "website": (urlsplit(url).hostname or "" for url in _safe_urls(photos["source_url"].drop_nulls())),
        "found by": photos["engine"].drop_nulls(),
        "search": photos["query"].drop_nulls(),
        "content type": photos["content_type"].drop_nulls(),
    }
    return {name: ranked(values) for name, values in known.items()}


def n_with_origin(photos: pl.DataFrame) -> int:
    """Photos of which anything is known beside their bytes."""
    return photos.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in COLUMNS)).height


def ranked(values: Iterable[str | None]) -> list[tuple[str, int]]:
    """Values and how often they occur, the most frequent first, then by name; what is empty is left out."""
    return _ranked(Counter(value for value in values if value))


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _safe_urls(urls: Sequence[str] | pl.Series) -> Iterable[str]:
    """Those that can be taken apart: they come from a file that anybody may write."""
    for url in urls:
        try:
            urlsplit(url).hostname  # noqa: B018 - an address with a broken host raises here
        except ValueError:
            continue
        yield url
