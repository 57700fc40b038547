"""Two commands at once, a lake that changes while it is scanned, folders in any order, clocks and time zones."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.drawing import draw_photo
from fledged.products import Snapshot
from fledged.progress import silent
from fledged.scanning import scan as door
from fledged.scanning import walk as walking
from fledged.scanning.scan import scan
from fledged.workspace import Workspace, now
from fledged.writing import sha256_of_file


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two classes of three photos."""
    folder = tmp_path / "lake"
    for number in range(6):
        place = folder / ("a" if number % 2 else "b") / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        draw_photo(("flying_bird", "winged_drone")[number % 2], number, (64, 48)).save(place)
    return folder


def contents(lake: Path) -> dict[str, str]:
    return {path.relative_to(lake).as_posix(): sha256_of_file(path) for path in lake.rglob("*.jpg")}


CHANGES: dict[str, Callable[[Path], object]] = {
    "added": lambda lake: shutil.copy(lake / "a" / "1.jpg", lake / "a" / "9.jpg"),
    "removed": lambda lake: (lake / "a" / "1.jpg").unlink(),
    "replaced": lambda lake: shutil.copy(lake / "b" / "0.jpg", lake / "a" / "1.jpg"),
    "truncated": lambda lake: os.truncate(lake / "a" / "1.jpg", 300),
    "moved": lambda lake: (lake / "a" / "1.jpg").rename(lake / "b" / "1.jpg"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_lake_that_changes_while_it_is_scanned(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    walk = walking.walk

    def walk_then_change(root: Path) -> Any:
        listing = walk(root)
        CHANGES[change](lake)
        return listing

    before = contents(lake)
    with monkeypatch.context() as patch:
        patch.setattr(door, "walk", walk_then_change)
        meanwhile = scan(lake, work=tmp_path / "work", report=silent)
    for path, sha256, error in meanwhile.photos(["path", "sha256", "error"]).rows():
        assert error or sha256 in (before.get(path), contents(lake).get(path)), path
    assert meanwhile.photos(["path"]).height == len(before)  # what was listed, each with a hash or a reason
    after, anew = (scan(lake, work=tmp_path / work, report=silent) for work in ("work", "other"))
    assert after.id == anew.id
    assert after.photos().equals(anew.photos())


def test_the_order_in_which_folders_are_read_does_not_matter(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, draw = os.scandir, random.Random(8)

    class Shuffled:
        def __init__(self, place: Any) -> None:
            with scandir(place) as entries:
                self._entries = list(entries)
            draw.shuffle(self._entries)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            if not self._entries:
                raise StopIteration
            return self._entries.pop()

        def close(self) -> None:
            pass

    first = scan(lake, work=tmp_path / "work", report=silent)
    monkeypatch.setattr(os, "scandir", Shuffled)
    for number in range(5):
        other = scan(lake, work=tmp_path / f"work{number}", report=silent)
        assert (other.id, other.labels) == (first.id, first.labels)
        assert other.photos().equals(first.photos())


def test_a_clock_that_jumps_back_hides_no_snapshot(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan(lake, work=tmp_path / "work", report=silent)
    moment = now()
    monkeypatch.setattr(door, "now", lambda: moment - timedelta(days=400))
    CHANGES["removed"](lake)
    second = scan(lake, work=tmp_path / "work", report=silent)
    assert second.id != first.id
    assert Workspace(tmp_path / "work").load(Snapshot).id == second.id
    assert second.previous_id == first.id
    CHANGES["added"](lake) if (lake / "a" / "1.jpg").exists() else shutil.copy(
        lake / "b" / "0.jpg", lake / "a" / "9.jpg"
    )
    third = scan(lake, work=tmp_path / "work", report=silent)
    assert third.previous_id == second.id
    assert third.changes_by_kind["added"] == 1


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's time zone cannot be set")
def test_time_zones_do_not_matter(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = set()
    for zone in ("UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        made = scan(lake, work=tmp_path / zone.replace("/", "_"), report=silent)
        ids.add(made.id)
        assert abs((made.created_at - now()).total_seconds()) < 60
    monkeypatch.undo()
    time.tzset()
    assert len(ids) == 1


def test_two_commands_in_one_folder_wait_for_each_other(lake: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fledged", "scan", str(lake), "--work", str(tmp_path / "work")]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)
    ]
    told = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    workspace = Workspace(tmp_path / "work")
    (only,) = workspace.all(Snapshot)
    assert all(only.id in words for words in told)
    assert workspace.load(Snapshot) == only
    assert not list((tmp_path / "work").rglob("*.part"))
