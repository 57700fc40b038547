"""Processes that map over photos: order, relative paths, and an item that kills its worker."""

import os
from pathlib import Path

import pytest

from fledged.engine import map_photos


def _quiet(step: str, done: int, total: int) -> None:
    pass


def test_results_come_in_order_whoever_is_first() -> None:
    sums = [f"__import__('time').sleep({(i % 7) / 1000}) or {i}" for i in range(200)]
    assert list(map_photos(eval, sums, str, 2, "count", _quiet)) == list(range(200))


def test_an_item_that_kills_its_worker_is_named_and_the_others_are_answered() -> None:
    items = [str(i) for i in range(100)]
    items[37] = "__import__('os')._exit(3)"
    answers = list(map_photos(eval, items, lambda item: f"crashed: {item}", 2, "count", _quiet))
    assert answers[37] == f"crashed: {items[37]}"
    assert answers[:37] + answers[38:] == [i for i in range(100) if i != 37]


def test_relative_paths_are_those_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        found = list(map_photos(os.path.abspath, ["a.jpg"] * 100, str, 2, "look", _quiet))
        assert set(found) == {str(folder / "a.jpg")}


def test_a_folder_that_is_gone_does_not_stop_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert set(map_photos(os.path.abspath, ["a.jpg"] * 100, str, 2, "look", _quiet)) == {"/a.jpg"}
