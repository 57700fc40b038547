"""A table of the cache is what was written, or is made again: whatever bit flips, wherever it is cut off."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from fledged.parts import Parts
from fledged.sealed import bytes_if_intact, is_intact, write_sealed, write_with_sha256

TABLE = pl.DataFrame(
    {"copy": [f"{n:064x}" for n in range(40)], "features": np.random.default_rng(0).normal(size=(40, 16))},
    schema={"copy": pl.String, "features": pl.Array(pl.Float32, 16)},
)


def damages(data: bytes) -> list[bytes]:
    """64 flipped bits, 64 cuts, and something longer."""
    draw = random.Random(8)
    places = [0, len(data) - 1, *(draw.randrange(len(data)) for _ in range(62))]
    flipped = [data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :] for at in places]
    return [*flipped, *(data[:at] for at in places), data + b"more", data * 2]


@pytest.mark.parametrize("table", [TABLE, TABLE.clear()], ids=["rows", "no row"])
def test_every_reader_passes_over_the_seal(tmp_path: Path, table: pl.DataFrame) -> None:
    path = tmp_path / "table.parquet"
    write_sealed(path, table)
    assert is_intact(path)
    assert pl.read_parquet(path).equals(table)
    assert pl.scan_parquet(path).select("copy").collect().equals(table.select("copy"))
    assert pq.read_table(path).num_rows == table.height


def test_no_damage_is_taken_for_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_sealed(path, TABLE)
    for damaged in damages(path.read_bytes()):
        path.write_bytes(damaged)
        assert not is_intact(path)


def test_a_table_without_a_seal_is_not_trusted(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    TABLE.write_parquet(buffer)
    (tmp_path / "table.parquet").write_bytes(buffer.getvalue())
    assert not is_intact(tmp_path / "table.parquet")
    with pytest.raises(FileNotFoundError):
        is_intact(tmp_path / "none.parquet")


def test_what_is_in_a_damaged_part_is_not_known(tmp_path: Path) -> None:
    parts = Parts(tmp_path, "copy")
    parts.add(TABLE[:20])
    parts.add(TABLE[20:])
    for path in sorted(tmp_path.glob("*.parquet")):
        whole = path.read_bytes()
        for damaged in damages(whole)[:10]:
            path.write_bytes(damaged)
            known = parts.known({"copy": pl.String})
            assert known.height == 20
            found = pl.concat(parts.rows_of(TABLE["copy"], "copy", "features"))
            assert found.height == 20
            assert set(found["copy"]) == set(known["copy"])
            assert not path.exists()
        path.write_bytes(whole)
    assert parts.known({"copy": pl.String}).height == 40


def test_bytes_are_what_was_written_or_none(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    assert bytes_if_intact(path) is None
    write_with_sha256(path, b"a graph" * 9)
    assert bytes_if_intact(path) == path.read_bytes() == b"a graph" * 9
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        for damaged in damages(whole):
            file.write_bytes(damaged)
            assert bytes_if_intact(path) is None
        file.unlink()
        assert bytes_if_intact(path) is None
        file.write_bytes(whole)
    assert bytes_if_intact(path) is not None
