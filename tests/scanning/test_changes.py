"""What changed: between two scans, and since the last one."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged import summary
from fledged.errors import ConfigError
from fledged.preparing.prepare import prepare
from fledged.products import Snapshot
from fledged.reviewing.review import review
from fledged.scanning import scan as scanning
from fledged.scanning.changes import Since, counted, difference, newest, since
from fledged.scanning.scan import scan
from fledged.workspace import Workspace
from tests.tiny import TINY

Photo = tuple[str, str, str | None]  # path, label, sha256


def table(photos: list[Photo]) -> pl.DataFrame:
    rows = [(path, label, sha256, 7, None if sha256 else "cannot be read") for path, label, sha256 in photos]
    types = {"path": pl.String, "label": pl.String, "sha256": pl.String, "n_bytes": pl.Int64, "error": pl.String}
    return pl.DataFrame(rows, schema=types, orient="row")


def changes(before: list[Photo], after: list[Photo]) -> list[tuple[str, str | None, str | None]]:
    return difference(table(before), table(after)).rows()


def test_each_kind_of_change_is_told_from_the_others() -> None:
    before: list[Photo] = [
        ("owl/stays.jpg", "owl", "a"),
        ("owl/edited.jpg", "owl", "b"),
        ("owl/gone.jpg", "owl", "c"),
        ("owl/old name.jpg", "owl", "d"),
        ("owl/a hawk.jpg", "owl", "e"),
        ("owl/locked.jpg", "owl", None),
    ]
    after: list[Photo] = [
        ("owl/stays.jpg", "owl", "a"),
        ("owl/edited.jpg", "owl", "B"),
        ("owl/new name.jpg", "owl", "d"),
        ("hawk/1.jpg", "hawk", "e"),
        ("owl/copy.jpg", "owl", "a"),
        ("owl/locked.jpg", "owl", None),
    ]
    assert changes(before, after) == [
        ("added", "owl/copy.jpg", None),
        ("changed", "owl/edited.jpg", "owl/edited.jpg"),
        ("moved", "hawk/1.jpg", "owl/a hawk.jpg"),
        ("removed", None, "owl/gone.jpg"),
        ("renamed", "owl/new name.jpg", "owl/old name.jpg"),
    ]


def test_a_file_that_can_be_read_again_has_changed() -> None:
    assert changes([("a", "owl", None)], [("a", "owl", "x")]) == [("changed", "a", "a")]


def test_a_label_that_changes_without_the_path_is_a_move() -> None:
    assert changes([("train/a", "train", "x")], [("train/a", "a", "x")]) == [("moved", "train/a", "train/a")]


def test_of_copies_one_stays_in_its_class_and_one_moves() -> None:
    before: list[Photo] = [("owl/1", "owl", "x"), ("owl/2", "owl", "x")]
    after: list[Photo] = [("owl/3", "owl", "x"), ("hawk/1", "hawk", "x")]
    assert changes(before, after) == [("moved", "hawk/1", "owl/2"), ("renamed", "owl/3", "owl/1")]


lakes = st.dictionaries(
    st.sampled_from([f"{label}/{n}" for label in ("owl", "hawk") for n in range(4)]), st.sampled_from(["x", "y", None])
)


@given(lakes, lakes)
def test_changes_account_for_every_path_and_reverse(
    first: dict[str, str | None], second: dict[str, str | None]
) -> None:
    before: list[Photo] = [(path, path.split("/")[0], sha256) for path, sha256 in first.items()]
    after: list[Photo] = [(path, path.split("/")[0], sha256) for path, sha256 in second.items()]
    forth = changes(before, after)
    new = [path for kind, path, _ in forth if kind in ("added", "moved", "renamed")]
    old = [path for kind, _, path in forth if kind in ("removed", "moved", "renamed")]
    assert sorted(new) == sorted(second.keys() - first.keys())  # type: ignore[type-var]
    assert sorted(old) == sorted(first.keys() - second.keys())  # type: ignore[type-var]
    edited = {path for path in first.keys() & second.keys() if first[path] != second[path]}
    assert {path for kind, path, _ in forth if kind == "changed"} == edited
    back = counted(difference(table(after), table(before)))
    swapped = {"added": "removed", "removed": "added"}
    assert {swapped.get(kind, kind): n for kind, n in back.items()} == counted(difference(table(before), table(after)))


@pytest.fixture
def lake(clean_lake: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "lake"
    shutil.copytree(clean_lake, copy)
    return copy


def change(lake: Path) -> None:
    """One photo each is added, edited, removed, renamed, and moved to another class."""
    first, second = sorted(path for path in lake.iterdir() if path.is_dir())[:2]
    photos = sorted(path for path in first.iterdir() if not path.name.startswith("."))
    (first / "added.jpg").write_bytes(photos[0].read_bytes() + b"more")
    photos[0].write_bytes(photos[0].read_bytes() + b"edited")
    photos[1].unlink()
    photos[2].rename(first / "renamed.jpg")
    photos[3].rename(second / "moved.jpg")


ONE_EACH = {"added": 1, "removed": 1, "changed": 1, "moved": 1, "renamed": 1}


def test_a_scan_tells_what_changed_since_the_one_before(lake: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    first = scan(lake, work=work)
    assert (first.previous_id, first.changes_by_kind, first.changes().height) == (None, {}, 0)
    change(lake)
    second = scan(lake, work=work)
    assert (second.previous_id, second.changes_by_kind) == (first.id, ONE_EACH)
    told = "\n".join(summary.lines(second))
    assert f"Since snapshot {first.id}: 1 added, 1 removed, 1 changed, 1 moved, 1 renamed" in told
    assert f"Page: {second.folder / 'overview.html'}" in told
    assert f"Since snapshot <code>{first.id}</code>" in (second.folder / "overview.html").read_text()


def test_the_id_has_no_part_in_history(lake: Path, tmp_path: Path) -> None:
    scan(lake, work=tmp_path / "work")
    change(lake)
    assert scan(lake, work=tmp_path / "work").id == scan(lake, work=tmp_path / "fresh").id


def test_content_that_comes_back_is_compared_with_what_it_replaced(lake: Path, tmp_path: Path) -> None:
    work, photo = tmp_path / "work", next(path for path in sorted(lake.rglob("*.jpg")))
    content = photo.read_bytes()
    first = scan(lake, work=work)
    photo.unlink()
    second = scan(lake, work=work)
    photo.write_bytes(content)
    third = scan(lake, work=work)
    assert third.id == first.id
    assert (third.previous_id, third.changes_by_kind) == (second.id, {"added": 1})
    assert scan(lake, work=work) == third
    assert since(third) == Since(0, 0, 0)


def test_new_times_and_new_notes_are_kept_without_a_new_snapshot(lake: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    first = scan(lake, work=work)
    for path in lake.rglob("*.jpg"):
        os.utime(path, (1, 1))
    (lake / "notes.txt").write_text("hello")
    again = scan(lake, work=work)
    assert again.id == first.id
    assert since(again) == Since(0, 0, 0)
    assert "notes.txt" in again.skipped()["path"].to_list()
    assert again.n_skipped == first.n_skipped + 1


def test_a_sample_is_compared_with_samples_and_a_whole_lake_with_whole_ones(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, probed = tmp_path / "work", scanning._probed
    n = len([*lake.rglob("*.jpg")])
    sample = scan(lake, work=work, sample=12)
    assert (sample.n_photos, sample.n_beyond_sample, sample.previous_id) == (12, n - 12, None)
    assert summary.one_line(sample).count(f"12 photos of {n}, a sample") == 1
    assert f"A sample of {n}." in (sample.folder / "overview.html").read_text()
    assert since(sample) == Since(0, 0, 0)
    read: list[int] = []

    def counting(new: pl.DataFrame, *rest: Any) -> Iterator[pl.DataFrame]:
        read.append(new.height)
        return probed(new, *rest)

    monkeypatch.setattr(scanning, "_probed", counting)
    whole = scan(lake, work=work)
    assert read == [n - 12]  # those of the sample are not read again
    assert (whole.n_photos, whole.n_beyond_sample, whole.previous_id) == (n, 0, None)
    min(lake.rglob("*.jpg")).unlink()
    later = scan(lake, work=work)
    assert (later.previous_id, later.changes_by_kind) == (whole.id, {"removed": 1})
    again = scan(lake, work=work, sample=12)
    assert (again.previous_id or again.id) == sample.id
    assert Workspace(work).load(Snapshot) == again  # what is asked for last is what the next step takes
    assert scan(lake, work=work).id == later.id
    assert Workspace(work).load(Snapshot).id == later.id


def test_a_sample_has_room_for_all_classes(clean_lake: Path, tmp_path: Path) -> None:
    n_classes = sum(1 for folder in clean_lake.iterdir() if folder.is_dir())
    with pytest.raises(ConfigError, match=f"Take {2 * n_classes} photos at least"):
        scan(clean_lake, work=tmp_path / "work", sample=2 * n_classes - 1)
    assert scan(clean_lake, work=tmp_path / "work", sample=2 * n_classes).n_photos == 2 * n_classes


def test_a_sample_of_all_photos_is_the_whole_lake(clean_lake: Path, tmp_path: Path) -> None:
    whole = scan(clean_lake, work=tmp_path / "work")
    assert scan(clean_lake, work=tmp_path / "work", sample=whole.n_photos) == whole


def test_lakes_do_not_mix_in_one_working_folder(clean_lake: Path, lake: Path, tmp_path: Path) -> None:
    scan(clean_lake, work=tmp_path / "work")
    assert scan(lake, work=tmp_path / "work").previous_id is None


def test_a_damaged_earlier_snapshot_is_no_past(lake: Path, tmp_path: Path) -> None:
    first = scan(lake, work=tmp_path / "work")
    (first.folder / "photos.parquet").write_bytes(b"")
    next(iter(lake.rglob("*.jpg"))).unlink()
    assert scan(lake, work=tmp_path / "work").previous_id is None


def test_a_record_that_cannot_be_read_for_a_moment_is_an_error_and_no_loss_of_the_past(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, workspace = scan(lake, work=tmp_path / "work"), Workspace(tmp_path / "work")
    read_bytes = Path.read_bytes

    def fail(path: Path) -> bytes:
        if path.name == "snapshot.json":
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(path)

    with monkeypatch.context() as disk:
        disk.setattr(Path, "read_bytes", fail)
        with pytest.raises(OSError, match=r"snapshot\.json"):
            newest(workspace, snapshot.lake)
    assert newest(workspace, snapshot.lake) == snapshot


def test_later_steps_say_that_the_lake_has_changed(
    lake: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = tmp_path / "work"
    snapshot = scan(lake, work=work)
    eyes = TINY
    first = review(work=work, train=eyes)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    change(lake)
    # A rename and a move are a photo more and a photo less to somebody who opens none.
    assert since(snapshot) == Since(3, 1, 3)
    for step in (lambda: review(work=work, train=eyes), lambda: prepare(review=first, work=work)):
        caplog.clear()
        step()
        warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert f"Since snapshot {snapshot.id}: 3 photos added, 1 changed, 3 vanished; fledged scan {lake}" in warned[0]
        assert len(warned) == 1


def test_of_a_lake_that_is_gone_every_photo_has_vanished(lake: Path, tmp_path: Path) -> None:
    snapshot = scan(lake, work=tmp_path / "work")
    shutil.rmtree(lake)
    assert since(snapshot) == Since(0, 0, snapshot.n_photos)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Since(1, 0, 0), "1 photo added"),
        (Since(2000, 1, 0), "2,000 photos added, 1 changed"),
        (Since(0, 0, 3), "3 photos vanished"),
        (Since(0, 11, 2), "11 photos changed, 2 vanished"),
    ],
)
def test_since_in_words(seen: Since, words: str) -> None:
    assert str(seen) == words
