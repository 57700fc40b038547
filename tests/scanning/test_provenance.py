"""The origin of each photo, as columns."""

from __future__ import annotations

import polars as pl
import pytest

from fledged.provenance import Provenance
from fledged.scanning import provenance
from fledged.scanning.provenance import COLUMNS, with_provenance

PHOTOS = pl.DataFrame(
    [("owl/a.jpg", "aa"), ("owl/b.jpg", "bb"), ("owl/c.jpg", None)],
    schema={"path": pl.String, "sha256": pl.String},
    orient="row",
)


@pytest.mark.parametrize("part", [1, 4096])
def test_a_line_counts_for_its_path_and_content_and_the_last_one_wins(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "_PART", part)
    lines = [
        Provenance(path="owl/a.jpg", sha256="aa", query="first"),
        Provenance(path="owl/a.jpg", sha256="zz", query="another content"),
        Provenance(path="owl/a.jpg", query="whatever lies there"),
        Provenance(path="owl/a.jpg", sha256="aa", query="last", engine="bing"),
        Provenance(path="owl/b.jpg", sha256="yy", query="replaced since"),
        Provenance(path="owl/c.jpg", group="nest", answered="owl"),
        Provenance(path="owl/nowhere.jpg", query="gone"),
    ]
    found = with_provenance(PHOTOS, lines)
    assert found.select("path", "query", "engine", "user_group", "answered").rows() == [
        ("owl/a.jpg", "last", "bing", None, None),
        ("owl/b.jpg", None, None, None, None),
        ("owl/c.jpg", None, None, "nest", "owl"),
    ]
    assert found.select("path", "sha256").equals(PHOTOS)


def test_a_line_of_its_content_hides_all_of_a_line_of_whatever_lies_there() -> None:
    lines = [Provenance(path="owl/a.jpg", query="whatever"), Provenance(path="owl/a.jpg", sha256="aa", engine="bing")]
    assert with_provenance(PHOTOS, lines).select("query", "engine").row(0) == (None, "bing")


def test_without_lines_all_is_null() -> None:
    found = with_provenance(PHOTOS, [])
    assert found.columns == with_provenance(PHOTOS, [Provenance(path="x")]).columns
    assert all(found[name].null_count() == 3 and found[name].dtype == pl.String for name in (*COLUMNS, "answered"))
