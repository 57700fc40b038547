"""The chain on real photos, where they are at hand: FLEDGED_REAL_DATA names a folder with `ants_vs_bees` in it."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

import fledged
from fledged.products import Report, Snapshot
from fledged.progress import silent
from fledged.workspace import Workspace

DATA = Path(os.environ.get("FLEDGED_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
LAKE = DATA / "ants_vs_bees"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not LAKE.is_dir(), reason="no real photos here; FLEDGED_REAL_DATA can name their folder"),
]


def test_ants_and_bees_are_told_apart(tmp_path: Path) -> None:
    settings = {"train": {"backbone": "efficientnet_lite0"}}
    bundle = fledged.build(LAKE, work=tmp_path, report=silent, settings=settings)
    workspace = Workspace(tmp_path)
    snapshot, report = workspace.load(Snapshot), workspace.load(Report)
    assert snapshot.photos().filter(pl.col("path").str.ends_with("imageNotFound.gif"))["format"].to_list() == ["GIF"]
    assert snapshot.n_unreadable == 0
    # Far above chance, well below what is measured: this is a smoke test, benchmarks/ holds the figures.
    assert report.accuracy.value > 0.85
    assert bundle.parity.label_agreement == 1.0
