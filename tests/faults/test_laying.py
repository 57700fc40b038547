"""That what was touched is seen, whatever it looks like, and laid anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.laying import Area
from tests.faults.promises import digest

PHOTO = b"the bytes of a photo"


def _without_photo(area: Path) -> None:
    (area / "lake" / "a.jpg").unlink()


def _folder_for_log(area: Path) -> None:
    (area / "log").unlink()
    (area / "log" / "below").mkdir(parents=True)


def _file_for_lake(area: Path) -> None:
    shutil.rmtree(area / "lake")
    (area / "lake").touch()


def _another_log(area: Path) -> None:
    shutil.copy2(area / "log", area / "new")
    (area / "new").replace(area / "log")


TOUCHES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda area: area,
    "another byte": lambda area: (area / "lake" / "a.jpg").write_bytes(PHOTO[::-1]),
    "gone": _without_photo,
    "new": lambda area: (area / "lake" / "b.jpg").write_bytes(PHOTO),
    "a folder for a file": _folder_for_log,
    "a file for a folder": _file_for_lake,
    "another one by its name": _another_log,
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two files, one of them in a folder."""
    (tmp_path / "state" / "lake").mkdir(parents=True)
    (tmp_path / "state" / "lake" / "a.jpg").write_bytes(PHOTO)
    (tmp_path / "state" / "log").write_bytes(b"{}\n")
    os.utime(tmp_path / "state" / "lake" / "a.jpg", ns=(1, 1))
    return tmp_path / "state"


@pytest.mark.parametrize("touch", TOUCHES)
def test_what_was_touched_is_seen_and_laid_anew(state: Path, tmp_path: Path, touch: str) -> None:
    area = Area(tmp_path / "area")
    area.lay(state)
    TOUCHES[touch](area.folder)
    if (photo := area.folder / "lake" / "a.jpg").exists():
        os.utime(photo, ns=(1, 1))  # as if nobody had written to it
    assert area.digest() == digest(area.folder)
    area.lay(state)
    assert area.digest() == digest(area.folder) == digest(state)
    assert photo.stat().st_mtime_ns == 1


def test_another_state_is_laid_over_it(state: Path, tmp_path: Path) -> None:
    area, other = Area(tmp_path / "area"), tmp_path / "other"
    shutil.copytree(state, other)
    (other / "log").write_bytes(b"[]\n")
    shutil.copystat(state / "log", other / "log")
    area.lay(state)
    area.lay(other)
    assert area.digest() == digest(other)
