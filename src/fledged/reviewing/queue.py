"""What is to be decided, in order: findings about one photo, or about photos that show the same, come together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from fledged.reviewing.ties import tied_together

# Findings of these kinds, and of kinds not known here that name a related photo but no label, are about several photos.
_ABOUT_ONE = ("likely_mislabel", "outlier", "cluster")
# A chain of video frames may tie thousands of photos; a page shows this many side by side.
_SIDE_BY_SIDE = 24
_EXAMPLES = 6
_PHOTO_COLUMNS = ("path", "label", "width_px", "height_px", "n_bytes", "format", "taken_at", "camera", "error")


@dataclass(frozen=True, slots=True)
class Item:
    """One question to the reviewer; photos are rows of the snapshot, findings are rows of the review."""

    photos: list[int]
    findings: list[int]


def queue_items(photos: pl.DataFrame, findings: pl.DataFrame) -> list[Item]:
    """Every finding in one item, every photo that has one in one item, ranked by the item's first finding."""
    row_of = {path: row for row, path in enumerate(photos["path"])}
    pairs: list[tuple[int, int]] = []
    of_photo: dict[int, list[int]] = defaultdict(list)
    for number, (path, related, copies) in enumerate(
        findings.select("path", "related_path", _about_several()).iter_rows()
    ):
        if path not in row_of:
            continue
        of_photo[row_of[path]].append(number)
        if copies and related in row_of:
            pairs.append((row_of[path], row_of[related]))
    tied = [part for group in tied_together(pairs) for part in _parts(sorted(group))]
    alone = of_photo.keys() - {row for group in tied for row in group}
    items = [
        Item(group, sorted(number for row in group for number in of_photo.get(row, [])))
        for group in (*tied, *([row] for row in alone))
    ]
    return sorted((item for item in items if item.findings), key=lambda item: item.findings[0])


def queue_record(photos: pl.DataFrame, findings: pl.DataFrame) -> dict[str, object]:
    """The queue as the page reads it: items, findings, the photos that they name, and examples of each class."""
    items = queue_items(photos, findings)
    row_of = {path: row for row, path in enumerate(photos["path"])}
    told = [
        {
            "kind": kind,
            "photo": row_of.get(path),
            "related": row_of.get(related),
            "copies": copies,
            "suggested": suggested,
            "score": score,
            "threshold": threshold,
            "advice": advice,
        }
        for kind, path, related, copies, suggested, score, threshold, advice in findings.select(
            "kind",
            "path",
            "related_path",
            _about_several(),
            "suggested_label",
            *(pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in ("score", "threshold")),
            "advice",
        ).iter_rows()
    ]
    examples = examples_by_label(photos, findings)
    named = {row for item in items for row in item.photos} | {row for rows in examples.values() for row in rows}
    named |= {row_of[related] for related in findings["related_path"].drop_nulls() if related in row_of}
    return {
        "items": [{"photos": item.photos, "findings": item.findings} for item in items],
        "findings": told,
        "photos": {record["row"]: record for record in photo_records(photos, named)},
        "examples": examples,
    }


def photo_records(photos: pl.DataFrame, rows: Iterable[int]) -> list[dict[str, object]]:
    """What the page shows of photos, by their rows."""
    numbered = photos.select(*_PHOTO_COLUMNS).with_row_index("row")
    chosen: list[dict[str, object]] = numbered[sorted(rows)].to_dicts()
    return chosen


def examples_by_label(photos: pl.DataFrame, findings: pl.DataFrame) -> dict[str, list[int]]:
    """Rows of a few readable photos of each label, spread over it, those without a finding first."""
    readable = (
        photos.select("path", "label", "error")
        .with_row_index("row")
        .filter(pl.col("error").is_null())
        .with_columns(found=pl.col("path").is_in(findings["path"].implode()))
    )
    examples: dict[str, list[int]] = {}
    for (label,), part in readable.group_by("label"):
        clean = part.filter(~pl.col("found"))
        rows = (clean if clean.height >= _EXAMPLES else part.sort("found", "row"))["row"].to_list()
        step = max(1, len(rows) // _EXAMPLES) if clean.height >= _EXAMPLES else 1
        examples[str(label)] = rows[::step][:_EXAMPLES]
    return examples


def _about_several() -> pl.Expr:
    """Whether a finding is about photos that show the same."""
    one = pl.col("kind").is_in(_ABOUT_ONE) | pl.col("suggested_label").is_not_null()
    return (pl.col("related_path").is_not_null() & one.not_()).alias("copies")


def _parts(group: list[int]) -> list[list[int]]:
    """Neighbours by path stay together: frames of one video have names in a row."""
    return [group[start : start + _SIDE_BY_SIDE] for start in range(0, len(group), _SIDE_BY_SIDE)]
