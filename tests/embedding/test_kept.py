"""Arrays in a folder with the keys in them: found again, but not where a crash or a bad disk was in between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fledged.embedding.kept import keep, known, remove_damaged

ROWS = np.arange(12, dtype=np.float16).reshape(3, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keep(["a", "b"], ROWS[:2], tmp_path)
    keep(["c"], ROWS[2:], tmp_path)
    return tmp_path


def test_each_key_leads_to_its_row(folder: Path) -> None:
    found = known(folder)
    assert set(found) == {"a", "b", "c"}
    for key, row in zip("abc", ROWS, strict=True):
        path, number = found[key]
        np.testing.assert_array_equal(np.load(path)[number], row)
    remove_damaged(folder)
    assert known(folder) == found


def test_a_part_without_its_list_is_none(folder: Path) -> None:
    path, _ = known(folder)["c"]
    path.with_suffix(".keys").unlink()
    assert set(known(folder)) == {"a", "b"}


@pytest.mark.parametrize("left", [b"", b"half of it"], ids=["nothing", "something else"])
def test_a_part_that_is_cut_off_is_none(folder: Path, left: bytes) -> None:
    path, _ = known(folder)["a"]
    path.write_bytes(left)
    assert set(known(folder)) == {"c"}


def test_a_flipped_bit_makes_a_part_forgotten(folder: Path) -> None:
    path, _ = known(folder)["a"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert set(known(folder)) == {"a", "b", "c"}  # it has the right shape
    remove_damaged(folder)
    assert set(known(folder)) == {"c"}
