"""The door: a Snapshot becomes a Review, a ranked list of what is wrong with the lake and the decisions about it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl

from fledged import progress
from fledged.config import PrepareConfig, ReviewConfig, TrainConfig, resolve
from fledged.products import Review, Snapshot
from fledged.reviewing.decisions import read_decisions
from fledged.reviewing.duplicates import duplicate_groups, exact_duplicates, near_duplicates
from fledged.reviewing.findings import findings_of, together
from fledged.reviewing.looks import eyes_of, look_at
from fledged.reviewing.mislabels import likely_mislabels
from fledged.reviewing.outliers import outliers
from fledged.reviewing.quality import quality_findings
from fledged.workspace import DEFAULT, Workspace, now, product_id, write_table

def review(
    snapshot: Snapshot | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    **settings: object,
) -> Review:
    """What is wrong with the lake: unreadable, duplicate, contradictory and odd photos; nothing is changed.

    `snapshot` is one, its id, or None for the newest; `settings` are the fields of `config.ReviewConfig`.
    """
    config = resolve(ReviewConfig, settings)
    train = resolve(TrainConfig, {"backbone": backbone, "weights": weights})
    workspace = Workspace(work)
    start_s = time.monotonic()
    with workspace.lock():
        if not isinstance(snapshot, Snapshot):
            snapshot = workspace.load(Snapshot, snapshot)
        decisions = read_decisions(workspace.decisions)
        review_id = product_id(Review, VERSION, snapshot.id, config, eyes, decisions.rows())
        if (earlier := workspace.find(Review, review_id)) is not None:
            return earlier
        findings = find(snapshot, config, train, workspace, report or progress.default())
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


def find(
    snapshot: Snapshot,
    config: ReviewConfig,
    train: TrainConfig,
    workspace: Workspace,
    report: progress.Report,
) -> pl.DataFrame:
    """A row a finding, with the columns of findings.TYPES; the surest to be wrong come first."""
    photos = snapshot.photos()
    readable = photos.filter(pl.col("error").is_null())
    exact = exact_duplicates(readable)
    distinct = readable.unique("sha256", keep="first", maintain_order=True).sort("path")
    eyes = eyes_of(train, workspace)
    seen, looks = look_at(distinct, Path(snapshot.lake), eyes, resolve(PrepareConfig, {}), workspace, report)
    near = near_duplicates(seen, looks, config.near_duplicate, report)
    groups = duplicate_groups(seen, near)
    wrong = likely_mislabels(seen["label"], groups, looks.features_NF, config.mislabel, report)
    odd = outliers(seen["label"], groups, looks.features_NF, config.outlier)
    conflicting, agreeing = pl.col("same_label").not_(), pl.col("same_label")
    score, path = pl.col("score"), pl.lit(seen["path"]).gather(pl.col("row"))
    advice = pl.when("sure").then(pl.lit("relabel")).otherwise(pl.lit("look"))
    return together(
        [
            findings_of("label_conflict", exact.filter(conflicting), "look", pl.lit(1.0)),
            findings_of("label_conflict", near.filter(conflicting), "look", score, config.near_duplicate),
            findings_of("likely_mislabel", wrong.with_columns(path=path), advice, score, config.mislabel),
            findings_of("exact_duplicate", exact.filter(agreeing), "drop", pl.lit(1.0)),
            findings_of("near_duplicate", near.filter(agreeing), "look", score, config.near_duplicate),
            quality_findings(photos, config),
            findings_of("outlier", odd.with_columns(path=path), "look", score, config.outlier),
        ]
    )
