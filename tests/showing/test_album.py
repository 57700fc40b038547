"""Pictures of a page are inside of it or all beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged.pages.thumbnails import Thumbnail
from fledged.showing import album

ONE, SAME, OTHER = Thumbnail(b"one", 4, 3), Thumbnail(b"one", 4, 3), Thumbnail(b"other", 4, 3)


def test_few_are_inside(tmp_path: Path) -> None:
    address, is_beside = album.keep([ONE, OTHER], tmp_path)
    assert (address(ONE), is_beside) == ("data:image/jpeg;base64,b25l", False)
    assert list(tmp_path.iterdir()) == []


def test_many_are_beside_it_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(album, "INSIDE_BYTES", 8)
    assert not album.keep([ONE, SAME, OTHER], tmp_path)[1]  # 8 bytes: what is shown twice counts once
    monkeypatch.setattr(album, "INSIDE_BYTES", 7)
    address, is_beside = album.keep(iter([ONE, SAME, OTHER]), tmp_path)
    assert is_beside
    assert address(ONE) == address(SAME) != address(OTHER)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")} == {address(ONE), address(OTHER)}
    assert (tmp_path / address(OTHER)).read_bytes() == b"other"
