"""Tables for people, whose spreadsheets must not run what is in them."""

from __future__ import annotations

import polars as pl

from fledged.formulas import FORMULA, cell


def cells(table: pl.DataFrame) -> pl.DataFrame:
    """A table of what to write; names of columns, too."""
    marked = [
        pl.when(pl.col(name).str.contains(FORMULA)).then(pl.lit("'") + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name, kind in table.schema.items()
        if kind == pl.String
    ]
    return table.with_columns(marked).rename({name: str(cell(name)) for name in table.columns})
