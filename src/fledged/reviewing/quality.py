"""Photos that are of little use by themselves: unreadable, tiny, dark, blurred, drawn. All from the table."""

from __future__ import annotations

import polars as pl

from fledged.reviewing.findings import findings_of, together
from fledged.settings.lake import ReviewConfig

# Drawings and icons: nearly all pixels equal their neighbour, or most do and the edges are as hard as those of letters.
_DRAWN_FLAT = 0.87
_LETTERED_FLAT, _LETTERED_EDGES = 0.80, 1.2
# Below this standard deviation of luma (0..1) there is no picture left, whatever it once was.
_PALE = 0.012


def quality_findings(photos: pl.DataFrame, config: ReviewConfig) -> pl.DataFrame:
    """A row a finding about a single photo, in the columns of findings."""
    broken = photos.filter(pl.col("error").is_not_null())
    readable = photos.filter(pl.col("error").is_null())
    return together(
        [_unreadable(broken), _sizes(readable, config), _light(readable, config), _content(readable, config)]
    )


def _unreadable(broken: pl.DataFrame) -> pl.DataFrame:
    return together(
        [
            findings_of("unreadable", broken, "drop"),
            findings_of("zero_byte", broken.filter(pl.col("n_bytes") == 0), "drop"),
            findings_of("vector", broken.filter(pl.col("error").str.starts_with("a vector drawing")), "drop"),
        ]
    )


def _sizes(readable: pl.DataFrame, config: ReviewConfig) -> pl.DataFrame:
    shorter, longer = pl.min_horizontal("width_px", "height_px"), pl.max_horizontal("width_px", "height_px")
    megapixels = pl.col("width_px").cast(pl.Float64) * pl.col("height_px") / 1e6
    huge, odd = config.huge_megapixels, config.odd_aspect
    return together(
        [
            findings_of("tiny", readable.filter(shorter < config.tiny_px), "drop", shorter, config.tiny_px),
            findings_of("huge", readable.filter(megapixels > huge), "look", megapixels, huge),
            findings_of("odd_aspect", readable.filter(longer / shorter > odd), "look", longer / shorter, odd),
            findings_of("animated", readable.filter(pl.col("n_frames") > 1), "look", pl.col("n_frames"), 1),
        ]
    )


def _light(readable: pl.DataFrame, config: ReviewConfig) -> pl.DataFrame:
    brightness = pl.col("brightness")
    dark, bright = config.brightness
    return together(
        [
            findings_of("dark", readable.filter(brightness < dark), "look", brightness, dark),
            findings_of("bright", readable.filter(brightness > bright), "look", brightness, bright),
        ]
    )


def _content(readable: pl.DataFrame, config: ReviewConfig) -> pl.DataFrame:
    # By contrast, so that haze and dusk are not taken for blur.
    edges = pl.col("sharpness") / pl.col("contrast").clip(1e-3)
    entropy, flat = pl.col("entropy"), pl.col("flat_share")
    empty = (entropy < config.low_information) | (pl.col("contrast") < _PALE)
    drawn = (flat > _DRAWN_FLAT) | ((flat > _LETTERED_FLAT) & (edges > _LETTERED_EDGES))
    pictures = readable.filter(empty.not_())
    return together(
        [
            findings_of("low_information", readable.filter(empty), "drop", entropy, config.low_information),
            findings_of("blurry", pictures.filter(edges < config.blurry), "look", edges, config.blurry),
            findings_of("graphic", readable.filter(drawn), "look", flat, _DRAWN_FLAT),
        ]
    )
