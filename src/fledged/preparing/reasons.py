"""Why a photo takes no part: by itself, or beside others of equal bytes."""

from __future__ import annotations

import polars as pl

from fledged.settings.lake import PrepareConfig

CLAIMED = "feedback that nobody has looked at"


def with_reasons(members: pl.DataFrame, findings: pl.DataFrame, config: PrepareConfig) -> pl.DataFrame:
    """With `left_out`: why a photo is left out, null if it is not. A person's decision comes before every rule."""
    by_nobody = pl.col("action").is_null() | (pl.col("reviewer") == "advice")
    claimed = by_nobody & pl.col("path").is_in(findings.filter(pl.col("kind") == "feedback")["path"].implode())
    members = members.with_columns(
        left_out=pl.when(pl.col("error").is_not_null())
        .then(pl.format("unreadable: {}", "error"))
        .when(pl.col("action") == "drop")
        .then(
            pl.when(pl.col("reviewer") == "advice")
            .then(pl.lit("dropped as advised"))
            .otherwise(pl.lit("dropped by a person"))
        )
        .when(pl.col("label").is_in(config.drop_classes))
        .then(pl.lit("class dropped"))
        .when(pl.lit(config.keep_splits) & pl.col("lake_split").is_null())
        .then(pl.lit("in none of the lake's train, val and test folders"))
        .when(claimed)
        .then(pl.lit(CLAIMED))
        .otherwise(None)
    )
    twins = members.filter(pl.col("sha256").is_not_null() & pl.col("sha256").is_duplicated())
    members = members.join(_superfluous(twins), on="path", how="left", maintain_order="left")
    return members.with_columns(left_out=pl.coalesce("left_out", "superfluous")).drop("superfluous")


def _superfluous(twins: pl.DataFrame) -> pl.DataFrame:
    """path and reason of files that are left out besides, since others have the same bytes.

    What people want stays, and so does the first by path, unless they gave another label. Where nobody has decided
    and two labels are left, nobody knows which is right; what was dropped, or is a mere claim, has no say in that.
    """
    twins = twins.with_columns(stays=pl.col("left_out").is_null())
    twins = twins.with_columns(wanted=pl.col("stays") & pl.col("action").is_not_null())
    has_say = pl.col("action").ne_missing("drop") & pl.col("left_out").ne_missing(CLAIMED)
    of_bytes = twins.group_by("sha256").agg(
        first=pl.col("path").filter("stays").min(),
        is_decided=pl.col("wanted").any(),
        wanted_labels=pl.col("label").filter("wanted").unique(),
        labels=pl.col("label").filter(has_say).unique(),
    )
    labels = pl.when("is_decided").then("wanted_labels").otherwise("labels")
    is_one_label = labels.list.len() == 1
    return (
        twins.filter(pl.col("stays") & pl.col("wanted").not_())
        .join(of_bytes, on="sha256", how="left")
        .select(
            "path",
            superfluous=pl.when(pl.col("is_decided").not_() & is_one_label.not_())
            .then(pl.lit("same photo under two labels"))
            .when((pl.col("path") != pl.col("first")) | is_one_label.not_() | (pl.col("label") != labels.list.first()))
            .then(pl.lit("exact duplicate")),
        )
        .drop_nulls()
    )
