"""What a lake is made of, against figures computed another way."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.scanning import census
from fledged.scanning.provenance import COLUMNS


def table(rows: list[dict[str, object]]) -> pl.DataFrame:
    usual: dict[str, object] = {"path": "owl/a.jpg", "format": "JPEG", "error": None} | dict.fromkeys(COLUMNS)
    return pl.DataFrame([usual | row for row in rows], infer_schema_length=None, schema_overrides={"error": pl.String})


def test_extensions_are_told_from_formats() -> None:
    photos = table(
        [
            {"path": "owl/a.JPG"},
            {"path": "owl/b.jpg", "format": "PNG"},
            {"path": "owl/c.jpg", "format": None, "error": "truncated"},
            {"path": "owl/download"},
            {"path": "owl/d.jpg_large", "format": "WEBP"},
        ]
    )
    assert [(row.name, row.n, dict(row.formats)) for row in census.extensions(photos)] == [
        (".jpg", 3, {"JPEG": 1, "PNG": 1, "unreadable": 1}),
        ("", 1, {"JPEG": 1}),
        (".jpg_large", 1, {"WEBP": 1}),
    ]
    # A name that promises nothing cannot be wrong, and an unreadable file is a matter of its own.
    assert census.misnamed(photos).rows() == [("owl/b.jpg", "PNG")]


@given(st.lists(st.text(".aZ/ü\n ", min_size=1, max_size=8), min_size=1, max_size=20))
def test_an_extension_is_what_pathlib_says(names: list[str]) -> None:
    paths = [f"owl/{name.strip('/') or 'x'}" for name in names]
    paths = [path for path in paths if not {"", ".", ".."} & {*path.split("/")}] or ["owl/x"]
    counted = {row.name: row.n for row in census.extensions(table([{"path": path} for path in paths]))}
    assert counted == Counter(PurePosixPath(path).suffix.lower() for path in paths)


def test_colour_is_that_of_all_pixels_together() -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.uniform(low, low + 0.3, (height, width, 3)) for low, height, width in ((0, 4, 9), (0.6, 20, 10))]
    rows = pl.DataFrame(
        {
            "width_px": [picture.shape[1] for picture in pictures],
            "height_px": [picture.shape[0] for picture in pictures],
            "mean_rgb": [picture.mean((0, 1)).tolist() for picture in pictures],
            "std_rgb": [picture.std((0, 1)).tolist() for picture in pictures],
        },
        schema_overrides={"mean_rgb": pl.Array(pl.Float64, 3), "std_rgb": pl.Array(pl.Float64, 3)},
    )
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    by_pixels = census.colour(rows, by_pixels=True)
    assert by_pixels.mean == pytest.approx(tuple(pixels.mean(0)))
    assert by_pixels.std == pytest.approx(tuple(pixels.std(0)))
    # Each alike: as if the small picture had as many pixels as the large one.
    enlarged = np.concatenate(
        [np.repeat(pictures[0].reshape(-1, 3), 50, 0), np.repeat(pictures[1].reshape(-1, 3), 9, 0)]
    )
    alike = census.colour(rows, by_pixels=False)
    assert alike.mean == pytest.approx(tuple(enlarged.mean(0)))
    assert alike.std == pytest.approx(tuple(enlarged.std(0)))
    # The defect to avoid: a mean of the pictures' own deviations is far too small.
    assert max(np.mean([picture.std((0, 1)) for picture in pictures], 0)) < min(by_pixels.std)


def test_shapes_and_sizes() -> None:
    rows = pl.DataFrame({"width_px": [400, 300, 50], "height_px": [300, 400, 50], "n_bytes": [10, 20, 90]})
    found = census.dimensions(rows)
    assert (found.shapes, found.shortest, found.longest, found.width_median) == ((1, 1, 1), 50, 400, 300)
    sizes = census.sizes(rows)
    assert (sizes.low, sizes.median, sizes.high, sizes.mean) == (10, 20, 90, 40)


def test_histograms_count_every_photo_also_beyond_their_range() -> None:
    rows = pl.DataFrame({name: [0.0, 0.2, 5.0] for name in census.FIGURES})
    found = census.light(rows, {"brightness": 1.0, "contrast": 0.5, "sharpness": 0.3})
    assert [sum(light.counts) for light in found.values()] == [3, 3, 3]
    assert found["contrast"].counts[-1] == 1


def test_origins_are_ranked_and_hostile_addresses_do_no_harm() -> None:
    photos = table(
        [
            {"source_url": "https://b.example/1.jpg", "engine": "bing", "query": "owl"},
            {"source_url": "https://a.example/2.jpg", "engine": "bing", "query": "night owl"},
            {"source_url": "https://A.example:8443/3.jpg", "engine": "ddg"},
            {"source_url": "http://[broken", "engine": None},
            {"source_url": "not an address"},
            {},
        ]
    )
    assert census.origins(photos) == {
        "website": [("a.example", 2), ("b.example", 1)],
        "found by": [("bing", 2), ("ddg", 1)],
        "search": [("night owl", 1), ("owl", 1)],
        "content type": [],
    }
    assert census.n_with_origin(photos) == 5
