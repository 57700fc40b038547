"""The page that shows a lake: one HTML file that asks nothing of any network.

Its only script is its own, named by hash in the content security policy; names of files reach it as data.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from markupsafe import Markup

from fledged import places
from fledged.pages import words
from fledged.pages.axes import Axis, axis, log_axis
from fledged.pages.template import environment
from fledged.pages.thumbnails import Thumbnail
from fledged.products import Snapshot
from fledged.progress import Report
from fledged.rows import Rows
from fledged.scanning import census
from fledged.scanning.census import Tables
from fledged.scanning.clusters import Clustering
from fledged.scanning.samples import Chosen, choose, thumbnails
from fledged.writing import write_bytes

# Rows of the tables that list single files; the whole tables lie beside the page.
_LISTED = 200
_RANKED = 12
# With no more classes than this each has a chart of its own, else one chart shows the class that is picked.
_PANELS = 8

_HERE = Path(__file__).parent
_COLOURS = ("width_px", "height_px", "mean_rgb", "std_rgb")
_SHOWN = ("path", "label", "sha256", "n_bytes", "brightness", "contrast", "sharpness", *_COLOURS)


@dataclass(frozen=True, slots=True)
class Part:
    """The readable photos of the whole lake (label None) or of one class, measured."""

    label: str | None
    n: int
    n_bytes: int
    sizes: census.Sizes
    dimensions: census.Dimensions
    light: dict[str, census.Light]
    colour: census.Colour


@dataclass(frozen=True, slots=True)
class Elbow:
    """The curve of inertia by number of clusters: SVG points in a square of 100, and where the chosen number lies."""

    points: str
    axis: Axis
    at: tuple[float, float]


def write_overview(
    path: Path, record: Snapshot, tables: Tables, clusterings: tuple[Clustering, ...], report: Report
) -> None:
    """The page of a snapshot that is about to be saved."""
    readable = tables.photos.select(*_SHOWN, "error").filter(pl.col("error").is_null()).drop("error")
    parts = _parts(readable, record)
    chosen = choose(readable, [part.label for part in parts if part.label is not None], clusterings)
    shown = thumbnails(chosen, record.lake, report)
    write_bytes(path, _render(record, tables, clusterings, parts, chosen, shown).encode())


def _render(
    record: Snapshot,
    tables: Tables,
    clusterings: tuple[Clustering, ...],
    parts: list[Part],
    chosen: Chosen,
    shown: dict[str, Thumbnail],
) -> str:
    photos = tables.photos
    script = (_HERE / "overview.js").read_text()
    pages = environment(_HERE)
    pages.filters |= {"kilobytes": words.kilobytes, "amount": words.amount, "steps": steps, "shade": _shade}
    whole = parts[0] if parts else None
    with_gps = _rows(photos.filter(pl.col("has_gps").fill_null(False)).select("path"))
    return pages.get_template("overview.html.jinja").render(
        record=record,
        name_of_lake=places.name_of(record.lake),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        whole=whole,
        parts=parts,
        classes=parts[1:],
        n_bytes=int(photos["n_bytes"].sum()),
        n_unreadable_of=dict(photos.filter(pl.col("error").is_not_null()).group_by("label").len().rows()),
        lake_splits=dict(photos.drop_nulls("lake_split").group_by("lake_split").len().sort("lake_split").rows()),
        alike=census.colour(photos.select(*_COLOURS, "error").filter(pl.col("error").is_null()), by_pixels=False)
        if whole
        else None,
        extensions=census.extensions(photos),
        misnamed=_rows(census.misnamed(photos)),
        size_axis=log_axis(max(whole.sizes.low, 1), max(whole.sizes.high, 2)) if whole else None,
        side_axis=_side_axis(chosen.points),
        turned=census.ranked(str(turn) for turn in photos["orientation"].drop_nulls() if turn != 1),
        figures=census.FIGURES,
        shapes=census.SHAPES,
        clusterings=[(clustering, _elbow(clustering)) for clustering in clusterings if clustering.clusters],
        chosen=chosen,
        shown=shown,
        has_panels=len(parts) - 1 <= _PANELS,
        points=_points(chosen, shown, parts[1:]),
        point_of={path: index for index, path in enumerate(chosen.points["path"])},
        origins=census.origins(photos),
        n_with_origin=census.n_with_origin(photos),
        n_groups=photos["user_group"].drop_nulls().n_unique(),
        with_gps=with_gps,
        cameras=census.ranked(photos["camera"]),
        taken=_span(photos["taken_at"]),
        fetched=_span(photos["fetched_at"]),
        unreadable=_rows(photos.filter(pl.col("error").is_not_null()).select("path", "error")),
        skipped=_rows(tables.skipped),
        changed_rows=_rows(
            tables.changes.select(
                pl.coalesce("path", "previous_path"),
                "kind",
                pl.when(pl.col("path").ne_missing(pl.col("previous_path"))).then("previous_path"),
            )
        ),
        listed=_LISTED,
        ranked=_RANKED,
        reasons={
            "unreadable": census.ranked(photos["error"]),
            "skipped": census.ranked(tables.skipped["reason"]),
        },
    )


def _rows(table: pl.DataFrame) -> Rows[tuple[str, ...]]:
    """The rows of a table of which the page shows the first."""
    return Rows(table.height, lambda start, stop: table[start:stop].rows())


def _span(times: pl.Series) -> tuple[object, object, int]:
    """The first and the last of these times, and how many are known."""
    return times.min(), times.max(), times.drop_nulls().len()


def _parts(readable: pl.DataFrame, record: Snapshot) -> list[Part]:
    """The lake and its classes, the largest first; classes without a readable photo have nothing to measure."""
    if readable.is_empty():
        return []
    ranges = census.light_ranges(readable)
    labels = sorted(
        (label for label, n in record.labels.items() if n), key=lambda label: (-record.labels[label], label)
    )
    by_label = readable.partition_by("label", as_dict=True)
    return [_part(None, readable, ranges), *(_part(label, by_label[(label,)], ranges) for label in labels)]


def _part(label: str | None, readable: pl.DataFrame, ranges: dict[str, float]) -> Part:
    return Part(
        label=label,
        n=readable.height,
        n_bytes=int(readable["n_bytes"].sum()),
        sizes=census.sizes(readable),
        dimensions=census.dimensions(readable),
        light=census.light(readable, ranges),
        colour=census.colour(readable, by_pixels=True),
    )


def steps(counts: tuple[int, ...]) -> str:
    """A histogram as an SVG path in a box as wide as its bins and 100 high, the highest bin reaching the top."""
    highest = max(*counts, 1)
    return "M0,100" + "".join(f"V{100 - 100 * n / highest:.4g}h1" for n in counts) + "V100Z"


def _shade(colour: tuple[float, float, float]) -> str:
    return "rgb({:.0f} {:.0f} {:.0f})".format(*(255 * share for share in colour))


def _side_axis(points: pl.DataFrame) -> Axis | None:
    """One range for width and height, so that square photos lie on the diagonal."""
    if points.is_empty():
        return None
    sides = [*points["width_px"], *points["height_px"]]
    return log_axis(min(sides), max(sides))


def _elbow(clustering: Clustering) -> Elbow:
    highest = clustering.inertia[0]
    values = axis(0, highest)
    across = Axis(1, max(len(clustering.inertia), 2), ())
    points = [(across.at(k), round(100 - values.at(v), 3)) for k, v in enumerate(clustering.inertia, start=1)]
    chosen = min(len(clustering.clusters), len(points))
    return Elbow(" ".join(f"{x},{y}" for x, y in points), values, points[chosen - 1])


def _points(chosen: Chosen, shown: dict[str, Thumbnail], classes: list[Part]) -> dict[str, object]:
    """What the script draws, in columns."""
    position = {part.label: index for index, part in enumerate(classes)}
    table = chosen.points
    side = _side_axis(table)
    paths = table["path"].to_list()
    standing = {path for grid in chosen.grid.values() for path in grid}
    return {
        "low": math.log(side.low) if side else 0,
        "high": math.log(side.high) if side else 1,
        "width": table["width_px"].to_list(),
        "height": table["height_px"].to_list(),
        "label": [position[label] for label in table["label"]],
        "name": [words.visible(path) for path in paths],
        "size": [words.kilobytes(n) for n in table["n_bytes"]],
        # A photo that stands on the page anyway is taken from there.
        "photo": {
            index: "" if path in standing else shown[path].uri
            for index, path in enumerate(paths)
            if path in chosen.pointed and path in shown
        },
    }
