"""Which photos the overview page shows, and their thumbnails.

The choice is by the order of sha256: as good as drawn by lot, the same each time, and hardly changed by new photos.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from fledged import engine, places
from fledged.images import BadPhoto
from fledged.pages.thumbnails import Thumbnail, shrunk
from fledged.progress import Report
from fledged.reading import Spot, read, spots
from fledged.scanning.clusters import Clustering

# Bounds of the page: each shared by all classes, and at least two photos a class.
_POINTS = 4_000
_POINTS_WITH_PHOTO = 240
_GRID = 200
_GRID_OF_CLASS = 12
_OF_CLUSTER = 6

_THUMBNAIL_PX = 96
_JPEG_QUALITY = 70


@dataclass(frozen=True, slots=True)
class Chosen:
    """Paths of the photos to show, and the table of the points to draw."""

    grid: dict[str, list[str]]  # label -> photos
    clusters: dict[tuple[str, int], list[str]]  # ("size" or "shape", number) -> photos
    points: pl.DataFrame  # path, label, n_bytes, width_px, height_px
    pointed: frozenset[str]  # photos of points, which are shown when somebody points at them


def choose(readable: pl.DataFrame, labels: list[str], clusterings: tuple[Clustering, ...]) -> Chosen:
    """Photos of every class and every cluster; of equal files only one."""
    drawn = readable.with_columns(
        **{f"{clustering.of}_cluster": clustering.numbers for clustering in clusterings}
    ).sort("sha256", "path")
    distinct = drawn.unique("sha256", keep="first", maintain_order=True)
    n_classes = max(len(labels), 1)
    n_points, n_pointed, n_grid = (max(2, limit // n_classes) for limit in (_POINTS, _POINTS_WITH_PHOTO, _GRID))
    rank = pl.int_range(pl.len()).over("label")
    grid = distinct.filter(rank < min(n_grid, _GRID_OF_CLASS))
    columns = ["path", "label", "n_bytes", "width_px", "height_px"]
    return Chosen(
        grid={label: grid.filter(pl.col("label") == label)["path"].to_list() for label in labels},
        clusters={
            (clustering.of, each.number): distinct.filter(pl.col(f"{clustering.of}_cluster") == each.number)["path"]
            .head(_OF_CLUSTER)
            .to_list()
            for clustering in clusterings
            for each in clustering.clusters
        },
        points=distinct.filter(rank < n_points).select(columns),
        pointed=frozenset(distinct.filter(rank < min(n_pointed, n_points))["path"]),
    )


def thumbnails(chosen: Chosen, lake: str, report: Report) -> dict[str, Thumbnail]:
    """By path; a photo that meanwhile vanished has none."""
    paths = {path for paths in (*chosen.grid.values(), *chosen.clusters.values(), chosen.pointed) for path in paths}
    ordered = sorted(paths)
    made = engine.map_photos(
        _thumbnail,
        spots([places.join(lake, path) for path in ordered]),
        on_crash=_none,
        on=engine.LOCAL.at(lake),  # a few hundred at most
        step="Drawing the overview",
        report=report,
    )
    return {path: thumbnail for path, thumbnail in zip(ordered, made, strict=True) if thumbnail is not None}


def _thumbnail(file: Spot) -> Thumbnail | None:
    try:
        return shrunk(read(file), _THUMBNAIL_PX, _JPEG_QUALITY)
    except (OSError, BadPhoto):
        return None


def _none(file: Spot) -> None:
    """No thumbnail."""
