"""The table of findings: a row a finding, whoever found it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "kind": pl.String,
    "path": pl.String,
    "related_path": pl.String,  # the other photo, where there is one
    "suggested_label": pl.String,
    "score": pl.Float64,
    "threshold": pl.Float64,  # that the score passed
    "advice": pl.String,  # drop, relabel or look
}


def findings_of(
    kind: str, rows: pl.DataFrame, advice: str | pl.Expr, score: pl.Expr | None = None, threshold: float | None = None
) -> pl.DataFrame:
    """Rows with a path, and a related_path or suggested_label if they have one, as findings."""
    values = {
        "kind": pl.lit(kind),
        "path": pl.col("path"),
        "related_path": _if_there(rows, "related_path"),
        "suggested_label": _if_there(rows, "suggested_label"),
        "score": score if score is not None else pl.lit(None),
        "threshold": pl.lit(threshold),
        "advice": pl.lit(advice) if isinstance(advice, str) else advice,
    }
    return rows.select(expression.cast(TYPES[name]).alias(name) for name, expression in values.items())


def together(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All findings in one table, in the order of the tables."""
    return pl.concat([pl.DataFrame(schema=TYPES), *tables])


def _if_there(rows: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name) if name in rows.columns else pl.lit(None)
