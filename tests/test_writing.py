"""Files are there whole, or as they were."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import polars as pl
import pytest

from fledged import regular
from fledged.errors import WorkspaceError
from fledged.writing import bytes_of_file, sha256_of_file, write, write_bytes, write_table


def test_an_interrupted_write_leaves_the_earlier_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"earlier")

    def fail(file: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, fail)
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        write_bytes(disk / "product" / "file", b"earlier")
        with pytest.raises(WorkspaceError, match=r"No space left on device.*Free some space") as caught:
            write_bytes(disk / "product" / "file", bytes(2**20))
        assert "\n" not in str(caught.value)
        assert (disk / "product" / "file").read_bytes() == b"earlier"
        assert os.listdir(disk / "product") == ["file"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    table = pl.DataFrame({"path": ["a", "b"], "n_bytes": [1, None]})
    write_table(tmp_path / "new" / "photos.parquet", table)
    assert pl.read_parquet(tmp_path / "new" / "photos.parquet").equals(table)


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"abc")
    # The example of FIPS 180-2.
    assert sha256_of_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(OSError, match="absent"):
        sha256_of_file(tmp_path / "absent")


def test_a_disk_that_fails_while_it_is_read_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")  # as read(2) has it, which knows no name

    monkeypatch.setattr(regular, "read", failing)
    with pytest.raises(OSError, match="Input/output") as raised:
        bytes_of_file(tmp_path / "splits.csv")
    assert raised.value.filename == str(tmp_path / "splits.csv")


def test_folders_that_are_made_are_synced_into_those_above_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("fledged.writing.sync_folder", synced.append)
    write_bytes(tmp_path / "runs" / "0f3a" / "file", b"")
    assert synced == [tmp_path, tmp_path / "runs", tmp_path / "runs" / "0f3a"]
    synced.clear()
    write_bytes(tmp_path / "runs" / "0f3a" / "other", b"")
    assert synced == [tmp_path / "runs" / "0f3a"]
