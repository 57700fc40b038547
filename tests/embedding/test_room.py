"""Room for activations and features: the least recently used go, no more than is lacking, and none in vain."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fledged.embedding.room import _SPARE_BYTES, NoRoom, keep_within, make_room


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "activations"


def kept_before(cache: Path, *names: str) -> list[Path]:
    """Folders of 100 bytes each, the first of which was used longest ago."""
    folders = [cache / name for name in names]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "part.npy").write_bytes(bytes(100))
        os.utime(folder, (number, number))
    return folders


@pytest.mark.parametrize(("wanted", "left"), [(100, "abcd"), (101, "acd"), (250, "ad"), (400, "a")])
def test_room_is_made_of_the_least_recently_used_and_no_more_than_is_lacking(
    cache: Path, wanted: int, left: str
) -> None:
    needed, *_ = kept_before(cache, *"abcd")
    make_room([needed], wanted, 500)
    assert sorted(folder.name for folder in needed.parent.iterdir()) == list(left)


def test_nothing_is_removed_where_that_would_not_make_room_enough(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed, *others = kept_before(cache, *"abcd")
    with pytest.raises(NoRoom, match="limit"):
        make_room([needed], 401, 500)  # 100 bytes are in the needed one
    usage = shutil.disk_usage(needed)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=_SPARE_BYTES + 50))
    with pytest.raises(NoRoom, match="the disk has no room"):
        make_room([needed], 351, 10**9)
    assert all(folder.exists() for folder in others)
    make_room([needed], 150, 10**9)  # what is kept makes room on a full disk too
    assert [folder.name for folder in others if folder.exists()] == ["c", "d"]


@pytest.mark.parametrize(("limit", "left"), [(400, "abcd"), (399, "acd"), (250, "ad"), (50, "a")])
def test_what_was_used_least_recently_goes_until_the_rest_is_within_the_limit(
    cache: Path, limit: int, left: str
) -> None:
    needed, *_ = kept_before(cache, *"abcd")
    (cache / ".DS_Store").write_bytes(b"no folder")
    keep_within([needed], limit)
    assert sorted(folder.name for folder in cache.iterdir() if folder.is_dir()) == list(left)
    assert needed.stat().st_mtime > 1  # the others were used before


def test_what_other_processes_remove_meanwhile_is_no_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed, gone, other = kept_before(cache, *"abc")
    listed = Path.iterdir

    def iterdir(folder: Path) -> list[Path]:
        found = list(listed(folder))
        if folder == needed.parent:
            shutil.rmtree(gone)
        return found

    monkeypatch.setattr(Path, "iterdir", iterdir)
    make_room([needed], 100, 250)
    assert not other.exists()
