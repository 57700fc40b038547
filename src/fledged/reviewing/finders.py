"""All finders in one place: a snapshot's photos become the ranked table of what is wrong with them."""

from __future__ import annotations

import polars as pl

from fledged.engine import Engine
from fledged.products import Snapshot
from fledged.progress import Report
from fledged.reviewing.claims import feedback_findings
from fledged.reviewing.clusters import cluster_findings
from fledged.reviewing.duplicates import duplicate_groups, exact_duplicates, near_duplicates
from fledged.reviewing.findings import findings_of, together
from fledged.reviewing.looks import Eyes, Looks, look_at, seeing
from fledged.reviewing.mislabels import likely_mislabels
from fledged.reviewing.outliers import outliers
from fledged.reviewing.privacy import gps_findings
from fledged.reviewing.quality import quality_findings
from fledged.settings.lake import ReviewConfig
from fledged.workspace import Workspace

VERSION = 5  # raise when any finder changes, so that remembered findings are found again


def find(snapshot: Snapshot, config: ReviewConfig, eyes: Eyes, workspace: Workspace, report: Report) -> pl.DataFrame:
    """A row a finding, with the columns of findings.TYPES; the surest to be wrong come first."""
    photos = snapshot.photos()
    # First of all: a name that is none is told before anybody waits for the rest.
    of_clusters = cluster_findings(photos, snapshot.clusters(), config.drop_clusters)
    readable = photos.filter(pl.col("error").is_null())
    exact = exact_duplicates(readable)
    distinct = readable.unique("sha256", keep="first", maintain_order=True).sort("path")
    if distinct.is_empty():
        return together([quality_findings(photos, config), gps_findings(photos)])
    embedding = seeing(eyes, distinct, snapshot.lake, workspace)
    seen, looks = look_at(distinct, snapshot.lake, embedding, eyes.copies, workspace, report)
    near = near_duplicates(seen, looks, config.near_duplicate, report, eyes.on)
    conflicting, agreeing = pl.col("same_label").not_(), pl.col("same_label")
    score, threshold = pl.col("score"), config.near_duplicate
    return together(
        [
            feedback_findings(photos),
            findings_of("label_conflict", exact.filter(conflicting), "look", pl.lit(1.0)),
            findings_of("label_conflict", near.filter(conflicting), "look", score, threshold),
            *_by_class(seen, looks, near, config, report, eyes.on),
            findings_of("exact_duplicate", exact.filter(agreeing), "drop", pl.lit(1.0)),
            findings_of("near_duplicate", near.filter(agreeing), "look", score, threshold),
            quality_findings(photos, config),
            of_clusters,
            gps_findings(photos),
        ]
    )


def _by_class(
    seen: pl.DataFrame, looks: Looks, near: pl.DataFrame, config: ReviewConfig, report: Report, on: Engine
) -> list[pl.DataFrame]:
    """Likely mislabels and outliers: photos that are unlike their class."""
    groups = duplicate_groups(seen, near)
    wrong = likely_mislabels(seen["label"], groups, looks.features_NF, config.mislabel, report)
    odd = outliers(seen["label"], groups, looks.features_NF, config.outlier, on)
    advice = pl.when("sure").then(pl.lit("relabel")).otherwise(pl.lit("look"))
    return [
        findings_of(kind, rows.with_columns(path=seen["path"].gather(rows["row"])), advised, pl.col("score"), threshold)
        for kind, rows, advised, threshold in (
            ("likely_mislabel", wrong, advice, config.mislabel),
            ("outlier", odd, "look", config.outlier),
        )
    ]
