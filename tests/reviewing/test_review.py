"""What was planted in a lake is found in it, each under its kind."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from demo.drawing import Planted
from fledged.errors import ProductError, WorkspaceError
from fledged.parts import Parts
from fledged.reviewing import review as reviewing
from fledged.reviewing.findings import TYPES
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from tests.rot import flip_a_bit
from tests.tiny import TINY


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


def test_without_a_snapshot_nobody_waits_for_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "locate", lambda _: pytest.fail("somebody waited for this"))
    with pytest.raises(ProductError, match="fledged scan"):
        review(work=tmp_path)


def test_nothing_is_found_twice_and_asking_again_does_no_work(clean_lake: Path, tmp_path: Path) -> None:
    scan(clean_lake, work=tmp_path)
    first = review(work=tmp_path, train=TINY)
    assert review(work=tmp_path, train=TINY) == first
    (tmp_path / "decisions.jsonl").write_text('{"path": "x.jpg", "action": "drop"}\n')
    assert review(work=tmp_path, train=TINY).id != first.id


def test_findings_have_their_columns_and_come_from_memory_when_decisions_change(
    clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan(clean_lake, work=tmp_path)
    first = review(work=tmp_path, train=TINY)
    assert dict(first.findings().schema) == TYPES
    monkeypatch.setattr("fledged.reviewing.review.find", None)  # calling it again would fail
    path = sorted(str(file.relative_to(clean_lake)) for file in clean_lake.rglob("*.jpg"))[0]
    (tmp_path / "decisions.jsonl").write_text(f'{{"path": "{path}", "action": "drop"}}\n')
    again = review(work=tmp_path, train=TINY)
    assert again.n_decisions == 1
    assert (found := again.findings()).equals(first.findings())
    monkeypatch.undo()
    (memory,) = tmp_path.glob("cache/findings/*.parquet")
    flip_a_bit(memory)
    shutil.rmtree(tmp_path / "reviews")
    assert review(work=tmp_path, train=TINY).findings().equals(found)


def test_a_cache_that_cannot_be_opened_for_a_moment_changes_no_review(
    clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, whole, n_calls = tmp_path / "work", Parts._scan, 0
    scan(clean_lake, work=work)
    expected = review(work=work, train=TINY).findings()
    shutil.rmtree(work / "reviews")
    shutil.rmtree(work / "cache" / "findings")
    for nth in range(1, 100):
        n_calls = 0

        def but_the_nth(self: Parts, *asked: Any, nth: int = nth, **more: Any) -> object:
            nonlocal n_calls
            n_calls += 1
            return iter(()) if n_calls == nth else whole(self, *asked, **more)

        monkeypatch.setattr(Parts, "_scan", but_the_nth)
        shutil.copytree(work, tmp_path / str(nth))
        with contextlib.suppress(WorkspaceError):
            review(work=tmp_path / str(nth), train=TINY)
        if n_calls < nth:
            break
        assert review(work=tmp_path / str(nth), train=TINY).findings().equals(expected), nth
    assert nth > 4


def test_how_features_lie_in_the_cache_changes_no_bit_of_a_review(clean_lake: Path, tmp_path: Path) -> None:
    work, names = tmp_path / "work", sorted(path for path in clean_lake.rglob("*") if path.is_file())
    scan(clean_lake, work=work)
    expected = review(work=work, train=TINY).findings()
    (part,) = (work / "cache" / "features").rglob("*.parquet")
    rows = pl.read_parquet(part)
    shutil.rmtree(work / "reviews")
    shutil.rmtree(work / "cache" / "findings")
    # As where a part could not be read for a moment: half of what it holds is in another one too.
    Parts(part.parent, "copy").add(rows.sort("copy").head(len(names) // 2))
    assert review(work=work, train=TINY).findings().equals(expected)


def test_no_room_for_what_is_seen_is_one_line(
    clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    scan(clean_lake, work=tmp_path / "work")
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WorkspaceError, match="no room for what is seen of the photos: No space left") as caught:
        review(work=tmp_path / "work", train=TINY)
    assert caught.value.where == tempfile.gettempdir()


def test_a_lake_without_a_readable_photo_has_findings_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "lake/owl").mkdir(parents=True)
    (tmp_path / "lake/owl/a.jpg").write_bytes(b"")
    (tmp_path / "lake/owl/b.svg").write_bytes(b"<svg/>")
    (tmp_path / "lake/owl/c.jpg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    found = review(scan(tmp_path / "lake", work=tmp_path / "w"), work=tmp_path / "w").findings()
    assert set(found.select("kind", "path").rows()) == {
        ("unreadable", "owl/a.jpg"),
        ("zero_byte", "owl/a.jpg"),
        ("unreadable", "owl/b.svg"),
        ("vector", "owl/b.svg"),
        ("unreadable", "owl/c.jpg"),
        ("vector", "owl/c.jpg"),
    }


def test_a_photo_that_vanished_after_the_scan_is_left_unseen(clean_lake: Path, tmp_path: Path) -> None:
    shutil.copytree(clean_lake, tmp_path / "lake")
    snapshot = scan(tmp_path / "lake", work=tmp_path / "w")
    gone = sorted((tmp_path / "lake").rglob("*.jpg"))[0]
    gone.unlink()
    assert review(snapshot, work=tmp_path / "w", train=TINY).snapshot_id == snapshot.id
