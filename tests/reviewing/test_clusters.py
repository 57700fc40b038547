"""Clusters that somebody wants gone become findings, and nothing more."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from fledged.errors import ConfigError
from fledged.reviewing import finders
from fledged.reviewing.clusters import cluster_findings
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from tests.tiny import TINY

PHOTOS = pl.DataFrame(
    {
        "path": ["a", "b", "c"],
        "n_bytes": [1500, 900_000, 7],
        "width_px": [2000, 1000, None],
        "height_px": [1000, 500, None],
    }
)
CLUSTERS = pl.DataFrame({"path": ["a", "b", "c"], "size_cluster": [1, 2, None], "shape_cluster": [2, 1, None]})


def test_each_photo_of_a_wanted_cluster_is_one_finding_with_its_size() -> None:
    found = cluster_findings(PHOTOS, CLUSTERS, ("size:2", "shape:2", "shape:1"))
    assert found.select("kind", "path", "score", "advice").rows() == [
        ("cluster", "b", 900.0, "drop"),
        ("cluster", "a", 2.0, "drop"),
    ]
    assert dict(found.schema) == FINDING_TYPES


def test_without_a_wish_there_is_no_finding() -> None:
    found = cluster_findings(PHOTOS, CLUSTERS, ())
    assert found.is_empty()
    assert dict(found.schema) == FINDING_TYPES


def test_a_cluster_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"no cluster `size:3`.*size:1 to size:2"):
        cluster_findings(PHOTOS, CLUSTERS, ("size:3",))


@pytest.mark.parametrize("name", ["colour:1", "size", "size:0", "size:x", "size:1:2", "size:100"])
def test_a_name_that_is_no_cluster_is_a_clear_error(clean_lake: Path, tmp_path: Path, name: str) -> None:
    scan(clean_lake, work=tmp_path)
    with pytest.raises(ConfigError, match="is no cluster; write size:4 or shape:1"):
        review(work=tmp_path, drop_clusters=(name,))


def test_a_cluster_that_is_not_there_is_told_before_any_photo_is_looked_at(
    clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan(clean_lake, work=tmp_path)
    monkeypatch.setattr(finders, "look_at", lambda *_: pytest.fail("somebody waited for this"))
    with pytest.raises(ConfigError, match="no cluster `size:30`"):
        review(work=tmp_path, drop_clusters=("size:30",), train=TINY)


def test_the_review_advises_and_the_lake_stays(clean_lake: Path, tmp_path: Path) -> None:
    snapshot = scan(clean_lake, work=tmp_path, size_clusters=3)
    before = sorted(path.name for path in clean_lake.rglob("*"))
    plain = review(work=tmp_path, train=TINY)
    made = review(work=tmp_path, drop_clusters=("size:1",), train=TINY)
    in_it = snapshot.clusters().filter(pl.col("size_cluster") == 1)["path"]
    found = made.findings().filter(pl.col("kind") == "cluster")
    assert sorted(found["path"]) == sorted(in_it)
    assert set(found["advice"]) == {"drop"}
    assert made.id != plain.id
    assert sorted(path.name for path in clean_lake.rglob("*")) == before
