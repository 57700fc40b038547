"""The door: a Snapshot becomes a Review, a ranked list of what is wrong with the lake and the decisions about it."""

from __future__ import annotations

import os
import time

import polars as pl

from fledged import progress
from fledged.config import ReviewConfig, resolve
from fledged.products import Review, Snapshot
from fledged.reviewing.clusters import cluster_findings
from fledged.reviewing.decisions import read_decisions
from fledged.reviewing.duplicates import exact_duplicates, near_duplicates
from fledged.reviewing.privacy import gps_findings
from fledged.scanning.changes import warn_of_changes
from fledged.workspace import DEFAULT, Workspace, now, product_id, write_table

FINDING_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "kind": pl.String,
    "path": pl.String,
    "related_path": pl.String,
    "suggested_label": pl.String,
    "score": pl.Float64,
    "threshold": pl.Float64,
    "advice": pl.String,
}


def review(
    snapshot: Snapshot | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    **settings: object,
) -> Review:
    """What is wrong with the lake: unreadable, duplicate, contradictory and odd photos; nothing is changed.

    `snapshot` is one, its id, or None for the newest; `settings` are the fields of `config.ReviewConfig`.
    """
    config = resolve(ReviewConfig, settings)
    workspace = Workspace(work)
    start_s = time.monotonic()
    with workspace.lock():
        if not isinstance(snapshot, Snapshot):
            snapshot = workspace.load(Snapshot, snapshot)
        warn_of_changes(snapshot)
        decisions = read_decisions(workspace.decisions)
        review_id = product_id(Review, snapshot.id, config, decisions.rows())
        if (earlier := workspace.find(Review, review_id)) is not None:
            return earlier
        photos = snapshot.photos()
        findings = pl.concat(
            [
                find(photos, config, report or progress.default()),
                cluster_findings(photos, snapshot.clusters(), config.drop_clusters),
                gps_findings(photos),
            ]
        )
        folder = workspace.folder("review", review_id)
        write_table(folder / "findings.parquet", findings)
        write_table(folder / "decisions.parquet", decisions)
        counts = findings.group_by("kind").len().sort("kind").rows()
        return workspace.save(
            Review(
                id=review_id,
                version=Review.format_version,
                created_at=now(),
                seconds=time.monotonic() - start_s,
                snapshot_id=snapshot.id,
                findings_by_kind={str(kind): int(n) for kind, n in counts},
                n_decisions=decisions.height,
            )
        )


def find(photos: pl.DataFrame, config: ReviewConfig, report: progress.Report) -> pl.DataFrame:
    """A row a finding, with the columns of FINDING_TYPES; the surest to be wrong come first."""
    readable = photos.filter(pl.col("error").is_null())
    exact = exact_duplicates(readable)
    near = near_duplicates(readable, config.near_duplicate_bits, config.near_duplicate_correlation, report)
    shorter, longer = pl.min_horizontal("width_px", "height_px"), pl.max_horizontal("width_px", "height_px")
    conflicting = pl.col("same_label").not_()
    return pl.concat(
        [
            _findings("unreadable", photos.filter(pl.col("error").is_not_null()), "drop"),
            _findings("label_conflict", exact.filter(conflicting), "look", pl.lit(1.0)),
            _findings(
                "label_conflict", near.filter(conflicting), "look", pl.col("score"), config.near_duplicate_correlation
            ),
            _findings("exact_duplicate", exact.filter("same_label"), "drop", pl.lit(1.0)),
            _findings(
                "near_duplicate", near.filter("same_label"), "look", pl.col("score"), config.near_duplicate_correlation
            ),
            _findings("tiny", readable.filter(shorter < config.tiny_px), "drop", shorter, config.tiny_px),
            _findings(
                "odd_aspect",
                readable.filter(longer / shorter > config.odd_aspect),
                "look",
                longer / shorter,
                config.odd_aspect,
            ),
            _findings(
                "flat", readable.filter(pl.col("contrast") < config.flat), "drop", pl.col("contrast"), config.flat
            ),
            _findings(
                "dark", readable.filter(pl.col("brightness") < config.dark), "look", pl.col("brightness"), config.dark
            ),
            _findings(
                "bright",
                readable.filter(pl.col("brightness") > config.bright),
                "look",
                pl.col("brightness"),
                config.bright,
            ),
            _findings("animated", readable.filter(pl.col("n_frames") > 1), "look", pl.col("n_frames"), 1),
        ]
    )


def _findings(
    kind: str, rows: pl.DataFrame, advice: str, score: pl.Expr | None = None, threshold: float | None = None
) -> pl.DataFrame:
    empty = pl.lit(None)
    values = {
        "kind": pl.lit(kind),
        "path": pl.col("path"),
        "related_path": pl.col("related_path") if "related_path" in rows.columns else empty,
        "suggested_label": empty,
        "score": score if score is not None else empty,
        "threshold": pl.lit(threshold),
        "advice": pl.lit(advice),
    }
    return rows.select(expression.cast(FINDING_TYPES[name]).alias(name) for name, expression in values.items())
