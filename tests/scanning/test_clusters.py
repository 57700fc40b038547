"""Groups of photos by size and shape, and the curve that chose their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fledged.scanning.clusters import cluster, elbow, table
from fledged.scanning.scan import scan


def photos(sizes: list[int], shapes: list[tuple[int, int]] | None = None) -> pl.DataFrame:
    shapes = shapes or [(300, 400)] * len(sizes)
    return pl.DataFrame(
        {
            "path": [f"{n}.jpg" for n in range(len(sizes))],
            "n_bytes": sizes,
            "height_px": [height for height, _ in shapes],
            "width_px": [width for _, width in shapes],
            "error": pl.Series([None] * len(sizes), dtype=pl.String),
        },
        schema_overrides={"n_bytes": pl.Int64},
    )


def test_well_separated_sizes_are_found_and_numbered_from_the_smallest() -> None:
    sizes = [10_000_000, 10_100_000, 48_000, 50_000, 52_000, 500, 510]
    found = cluster(photos(sizes), "size", 0)
    assert [c.n for c in found.clusters] == [2, 3, 2]
    assert found.numbers.to_list() == [3, 3, 2, 2, 2, 1, 1]
    middle = found.clusters[1]
    assert (middle.number, middle.low, middle.high) == (2, (48_000,), (52_000,))
    assert middle.centre == pytest.approx([(48_000 * 50_000 * 52_000) ** (1 / 3)])
    assert list(found.inertia) == sorted(found.inertia, reverse=True)


def test_shapes_are_height_then_width() -> None:
    shapes = [(100, 200)] * 5 + [(2000, 1000)] * 4
    found = cluster(photos([7] * 9, shapes), "shape", 0)
    assert [(c.n, c.low, c.high) for c in found.clusters] == [
        (5, (100, 200), (100, 200)),
        (4, (2000, 1000), (2000, 1000)),
    ]
    assert found.clusters[1].centre == pytest.approx((2000, 1000))


@pytest.mark.parametrize(("wanted", "expected"), [(1, 1), (2, 2), (4, 4), (9, 4)])
def test_a_number_that_is_given_is_taken_as_far_as_there_are_values(wanted: int, expected: int) -> None:
    assert len(cluster(photos([10, 100, 1000, 10_000] * 3), "size", wanted).clusters) == expected


@pytest.mark.parametrize("sizes", [[], [7], [7, 7, 7], [0, 0, 5]])
def test_few_or_equal_photos_do_no_harm(sizes: list[int]) -> None:
    found = cluster(photos(sizes), "size", 0)
    assert sum(c.n for c in found.clusters) == len(sizes) == len(found.numbers)


@settings(max_examples=25, deadline=None)
@example([0, 999_999_796, 999_999_797])  # two that rounding makes one
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_each_photo_is_in_the_cluster_whose_range_holds_it(sizes: list[int]) -> None:
    found = cluster(photos(sizes), "size", 0)
    assert [c.number for c in found.clusters] == sorted(set(found.numbers))
    of = {c.number: c for c in found.clusters}
    for size, number in zip(sizes, found.numbers, strict=True):
        assert of[number].low[0] <= size <= of[number].high[0]
    highs = [c.high[0] for c in found.clusters]
    assert highs == sorted(highs)


def test_the_elbow_is_where_the_curve_bends() -> None:
    assert elbow([100, 50, 10, 9, 8, 7, 6]) == 3
    assert elbow([100, 5, 4, 3, 2]) == 2
    assert elbow([5.0]) == 1
    assert elbow([0.0, 0.0]) == 1
    assert elbow([9.0, 0.0]) == 2


def test_many_photos_are_clustered_alike_twice() -> None:
    sizes = [int(size) for size in 10 ** np.random.default_rng(3).normal(5, 0.5, 30_000)]
    first, second = (cluster(photos(sizes), "size", 0) for _ in range(2))
    assert first.clusters == second.clusters
    assert first.numbers.equals(second.numbers)


def test_an_unreadable_photo_has_no_cluster() -> None:
    every = photos([10, 20, 30]).with_columns(error=pl.Series([None, "truncated", None]))
    readable = every.filter(pl.col("error").is_null())
    made = table(every, cluster(readable, "size", 1), cluster(readable, "shape", 1))
    assert made.rows() == [("0.jpg", 1, 1), ("1.jpg", None, None), ("2.jpg", 1, 1)]


def test_a_snapshot_holds_the_clusters_and_the_settings_are_part_of_its_id(clean_lake: Path, tmp_path: Path) -> None:
    first = scan(clean_lake, work=tmp_path)
    assert first.clusters().columns == ["path", "size_cluster", "shape_cluster"]
    assert first.clusters()["path"].equals(first.photos()["path"])
    second = scan(clean_lake, work=tmp_path, size_clusters=2)
    assert second.id != first.id
    assert second.clusters()["size_cluster"].n_unique() == 2
