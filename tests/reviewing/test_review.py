"""What was planted in a lake is found in it, each under its kind."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from demo.drawing import Planted
from fledged.config import ReviewConfig
from fledged.progress import silent
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.reviewing.review import review
from fledged.scanning.scan import scan


def unordered(pairs: list[tuple[str, str]]) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in pairs}


def test_planted_defects_are_found_and_nothing_else(messy_lake: tuple[Path, Planted], tmp_path: Path) -> None:
    lake, planted = messy_lake
    found = review(scan(lake, work=tmp_path), work=tmp_path).findings()

    def of(kind: str) -> list[tuple[str, str]]:
        return list(found.filter(pl.col("kind") == kind).select("path", "related_path").rows())

    assert {path for path, _ in of("unreadable")} == set(planted.unreadable)
    assert unordered(of("exact_duplicate")) == unordered(list(planted.exact_duplicates))
    assert unordered(of("label_conflict")) == unordered(list(planted.label_conflicts))
    assert unordered(of("near_duplicate")) == unordered(list(planted.near_duplicates))


def test_nothing_is_found_twice_and_asking_again_does_no_work(clean_lake: Path, tmp_path: Path) -> None:
    scan(clean_lake, work=tmp_path)
    first = review(work=tmp_path)
    assert review(work=tmp_path) == first
    (tmp_path / "decisions.jsonl").write_text('{"path": "x.jpg", "action": "drop"}\n')
    assert review(work=tmp_path).id != first.id


def row(path: str, **changes: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "path": path,
        "label": "owl",
        "sha256": path,
        "phash": hash(path) % 2**63,
        "phash_mirrored": 0,
        "thumbnail": bytes(1024),
        "width_px": 400,
        "height_px": 300,
        "brightness": 0.5,
        "contrast": 0.2,
        "n_frames": 1,
        "error": None,
    }
    return usual | changes


def test_odd_photos_are_findings_with_score_threshold_and_advice() -> None:
    photos = pl.DataFrame(
        [
            row("good.jpg"),
            row("tiny.jpg", width_px=40),
            row("wide.jpg", width_px=2000),
            row("dark.jpg", brightness=0.01),
            row("bright.jpg", brightness=0.99),
            row("flat.jpg", contrast=0.001),
            row("moving.gif", n_frames=3),
            row("broken.jpg", error="truncated", width_px=None),
        ],
        schema_overrides={"phash": pl.UInt64, "phash_mirrored": pl.UInt64, "error": pl.String},
    )
    found = find(photos, ReviewConfig(), silent)
    assert list(found.schema) == list(FINDING_TYPES)
    kinds = {path: kind for kind, path in found.select("kind", "path").rows()}
    assert kinds.pop("wide.jpg") == "odd_aspect"
    assert kinds == {
        "tiny.jpg": "tiny",
        "dark.jpg": "dark",
        "bright.jpg": "bright",
        "flat.jpg": "flat",
        "moving.gif": "animated",
        "broken.jpg": "unreadable",
    } | {path: kind for path, kind in kinds.items() if kind == "odd_aspect"}
    assert set(found["advice"]) == {"drop", "look"}
