"""Processes that map over photos: order, relative paths, items that kill their worker; and the choice of an engine."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import loky
import pytest
from loky.process_executor import BrokenProcessPool

from fledged.engine import LOCAL, engine_of, map_photos
from fledged.errors import ConfigError, MissingExtra
from tests.preloaded import python

TWO = replace(LOCAL, workers=2)


def _quiet(step: str, done: int, total: int) -> None:
    pass


def test_results_come_in_order_whoever_is_first() -> None:
    sums = [f"__import__('time').sleep({(i % 7) / 1000}) or {i}" for i in range(200)]
    assert list(map_photos(eval, sums, str, TWO, "count", _quiet)) == list(range(200))


def test_an_item_that_kills_its_worker_is_named_and_the_others_are_answered() -> None:
    items = [str(i) for i in range(100)]
    items[37] = "__import__('os')._exit(3)"
    answers = list(map_photos(eval, items, lambda item: f"crashed: {item}", TWO, "count", _quiet))
    assert answers[37] == f"crashed: {items[37]}"
    assert answers[:37] + answers[38:] == [i for i in range(100) if i != 37]


def test_a_last_item_by_itself_is_not_taken_for_one_that_killed_its_worker() -> None:
    items = ["__import__('os')._exit(3)", *(str(i) for i in range(1, 65))]
    assert list(map_photos(eval, items, lambda _: "crashed", TWO, "count", _quiet)) == ["crashed", *range(1, 65)]


def test_a_pool_that_breaks_as_it_is_given_a_chunk_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = loky.get_reusable_executor
    pools: list[object] = []

    def broken_the_second_time(**how: object) -> object:
        pool = usual(**how)
        pools.append(pool)
        if len(pools) == 2:  # an earlier chunk kills its worker just after the pool was handed out
            with pytest.raises(BrokenProcessPool):
                pool.submit(eval, "__import__('os')._exit(3)").result()
        return pool

    monkeypatch.setattr(loky, "get_reusable_executor", broken_the_second_time)
    items = [str(i) for i in range(65)]
    assert list(map_photos(eval, items, lambda _: "crashed", TWO, "count", _quiet)) == list(range(65))
    assert len(set(map(id, pools))) > 1


def test_relative_paths_are_those_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        found = list(map_photos(os.path.abspath, ["a.jpg"] * 100, str, TWO, "look", _quiet))
        assert set(found) == {str(folder / "a.jpg")}


def test_a_folder_that_is_gone_does_not_stop_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert set(map_photos(os.path.abspath, ["a.jpg"] * 100, str, TWO, "look", _quiet)) == {"/a.jpg"}


def test_nothing_of_ray_is_imported_unless_it_is_chosen() -> None:
    rooms = "scanning.scan reviewing.review preparing.prepare training.train evaluating.evaluate predicting.predictor"
    imports = "".join(f"import fledged.{room}\n" for room in rooms.split())
    code = f"import sys\n{imports}print([name for name in sys.modules if name.partition('.')[0] == 'ray'])"
    done = subprocess.run([*python(), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_engine_of_a_verb_is_that_of_the_settings_file_overlaid_with_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fledged.toml").write_text('[engine]\nname = "ray"\naddress = "10.0.0.5:6379"\n')
    assert engine_of(None).settings.address == "10.0.0.5:6379"
    assert engine_of({"name": "local", "address": None}).is_here


@pytest.mark.parametrize("address", ["here", "10.0.0.5", "10.0.0.5:99999", "ray://10.0.0.5:10001"])
def test_an_address_that_is_none_is_told_in_one_line(address: str) -> None:
    with pytest.raises(ConfigError, match=r"engine\.address.*\bauto\b"):
        engine_of({"name": "ray", "address": address})


def test_an_address_without_ray_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match="--engine ray"):
        engine_of({"address": "auto"})


def test_ray_where_it_is_not_installed_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"fledged\[ray\]"):
        engine_of({"name": "ray"})
