"""What is asked for again by its key, part by part; what a damaged part held is missed and not made up."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from fledged.errors import WorkspaceError
from fledged.parts import Parts

KEYS = pl.Series("photo", ["c", "a", "b"])


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """Three photos in two parts."""
    kept = Parts(tmp_path / "cache", "photo")
    kept.add(pl.DataFrame({"photo": ["a", "b"], "number": [1, 2]}))
    kept.add(pl.DataFrame({"photo": ["c"], "number": [3]}))
    return kept


def test_all_of_them_come_with_their_places(parts: Parts) -> None:
    found = pl.concat(parts.all_of(KEYS, "number"))
    assert dict(found.sort("row").iter_rows()) == {0: 3, 1: 1, 2: 2}


def test_of_what_should_be_there_none_is_left_out_in_silence(parts: Parts) -> None:
    known = parts.known({"photo": pl.String})
    (lost,) = known.filter(pl.col("photo") == "c")["part"]
    (parts.folder / lost).write_bytes(b"damaged since")
    assert [found.height for found in parts.rows_of(KEYS, "number")] == [2]
    with pytest.raises(WorkspaceError, match="Run the same command again"):
        list(parts.all_of(KEYS, "number"))
    assert parts.known({"photo": pl.String})["photo"].sort().to_list() == ["a", "b"]


def test_who_would_not_compute_it_again_hears_of_a_part_that_cannot_be_opened(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pl.scan_parquet

    def fails(path: Path) -> pl.LazyFrame:
        if path == sorted(parts.folder.iterdir())[0]:
            raise OSError(5, "Input/output error")
        return whole(path)

    monkeypatch.setattr(pl, "scan_parquet", fails)
    assert parts.known({"photo": pl.String}).height < len(KEYS)
    with pytest.raises(OSError, match="Input/output error") as raised:
        parts.known({"photo": pl.String}, all_of_them=True)
    assert raised.value.filename == str(sorted(parts.folder.iterdir())[0])
