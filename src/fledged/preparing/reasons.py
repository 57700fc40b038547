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
    superfluous = twins.select("path", superfluous=_of_equal_bytes()).drop_nulls()
    members = members.join(superfluous, on="path", how="left", maintain_order="left")
    return members.with_columns(left_out=pl.coalesce("left_out", "superfluous")).drop("superfluous")


def _of_equal_bytes() -> pl.Expr:
    """Why a file with the bytes of others is left out besides; one stays, with the label that a person gave.

    What people want stays. Where nobody has decided and two labels are left, nobody knows which is right; what was
    dropped, or is no more than a claim, says nothing in that.
    """
    stays = pl.col("left_out").is_null()
    wanted = stays & pl.col("action").is_not_null()
    speaks = (pl.col("action").ne_missing("drop")) & (pl.col("left_out").ne_missing(CLAIMED))
    first = pl.col("path").filter(stays).min().over("sha256")
    return (
        pl.when(stays.not_() | wanted)
        .then(None)
        .when(wanted.any().over("sha256"))
        .then(pl.lit("exact duplicate"))
        .when(pl.col("label").filter(speaks).n_unique().over("sha256") > 1)
        .then(pl.lit("same photo under two labels"))
        .when(pl.col("path") != first)
        .then(pl.lit("exact duplicate"))
    )
