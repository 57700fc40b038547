"""A whole table whose cells no spreadsheet runs."""

from __future__ import annotations

import polars as pl

from fledged.showing.spreadsheet import cells
from tests.test_formulas import FORMULAS, PLAIN


def test_a_table_is_marked_cell_by_cell() -> None:
    table = pl.DataFrame({"=path": [*FORMULAS, *PLAIN, None], "n": [-1] * 14})
    marked = cells(table)
    assert marked.columns == ["'=path", "n"]
    assert marked["'=path"].to_list() == [*(f"'{text}" for text in FORMULAS), *PLAIN, None]
    assert marked["n"].to_list() == [-1] * 14
