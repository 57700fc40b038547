"""The door: a Snapshot becomes a Review, a ranked list of what is wrong with the lake and the decisions about it."""

from __future__ import annotations

import os
import time
from typing import Literal

import polars as pl

from fledged import progress
from fledged.config import ReviewConfig, resolve
from fledged.errors import ConfigError
from fledged.products import Review, Snapshot
from fledged.reviewing.advice import REVIEWER as ADVICE
from fledged.reviewing.advice import apply_advice
from fledged.reviewing.decisions import standing_decisions
from fledged.reviewing.duplicates import exact_duplicates, near_duplicates
from fledged.reviewing.log import DecisionLog
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
    apply: Literal["advice"] | None = None,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    **settings: object,
) -> Review:
    """What is wrong with the lake: unreadable, duplicate, contradictory and odd photos; nothing is changed.

    `snapshot` is one, its id, or None for the newest. With `apply="advice"`, what the findings advise is decided where
    no person has decided. `settings` are the fields of `config.ReviewConfig`.
    """
    if apply not in (None, "advice"):
        raise ConfigError(f"There is nothing to apply that is called `{apply}`", remedy="Known: advice.")
    config = resolve(ReviewConfig, settings)
    workspace = Workspace(work)
    start_s = time.monotonic()
    with workspace.lock():
        if not isinstance(snapshot, Snapshot):
            snapshot = workspace.load(Snapshot, snapshot)
        photos = snapshot.photos()
        if apply:
            findings = _findings_of(snapshot, photos, config, workspace, report)
            apply_advice(DecisionLog(workspace.decisions), photos, findings)
        standing = standing_decisions(workspace.decisions, photos)
        decisions = standing.decisions
        review_id = product_id(Review, snapshot.id, config, decisions.rows(), standing.ignored)
        if (earlier := workspace.find(Review, review_id)) is not None:
            return earlier
        findings = _findings_of(snapshot, photos, config, workspace, report)
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
                n_advised=int((decisions["reviewer"] == ADVICE).sum()),
                ignored_decisions=standing.ignored,
            )
        )


def _findings_of(
    snapshot: Snapshot,
    photos: pl.DataFrame,
    config: ReviewConfig,
    workspace: Workspace,
    report: progress.Report | None,
) -> pl.DataFrame:
    """The findings, remembered: decisions make a new review, but they change no finding."""
    memory = workspace.cache(f"findings/{product_id(Review, snapshot.id, config)}.parquet")
    try:
        return pl.read_parquet(memory).select(*FINDING_TYPES)
    except (FileNotFoundError, pl.exceptions.PolarsError):
        findings = find(photos, config, report or progress.default())
        write_table(memory, findings)
        return findings


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
