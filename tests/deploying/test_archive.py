"""A zip of the same files has the same bytes."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.deploying.archive import n_bytes_of, write_zip
from fledged.errors import WorkspaceError
from fledged.writing import write

NAMES = st.text("abc/_.", min_size=1, max_size=9).filter(lambda name: not name.startswith("/") and "//" not in name)


def zipped(contents: dict[str, Path | bytes]) -> bytes:
    file = io.BytesIO()
    write_zip(file, contents)
    return file.getvalue()


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=6), st.randoms())
def test_neither_order_nor_date_plays_a_part(contents: dict[str, bytes], random: object) -> None:
    items = list(contents.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    made = zipped(dict(contents))
    assert zipped(dict(items)) == made
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == contents
        assert archive.namelist() == sorted(contents)


def test_files_count_by_their_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "lib.cpython-313.so"
    path.write_bytes(b"\x7fELF")
    made = zipped({"lib.cpython-313.so": path})
    path.chmod(0o600)
    os.utime(path, (1, 1))
    assert zipped({"lib.cpython-313.so": path}) == made
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.getinfo("lib.cpython-313.so").external_attr >> 16 == 0o755


def test_as_many_bytes_as_come_out_again(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_bytes(bytes(300))
    contents: dict[str, Path | bytes] = {"module.py": tmp_path / "module.py", "page.html": b"<p>"}
    with zipfile.ZipFile(io.BytesIO(zipped(contents))) as archive:
        assert n_bytes_of(contents) == sum(entry.file_size for entry in archive.infolist()) == 303


def test_a_file_that_cannot_be_read_is_named_and_not_the_archive(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="Cannot read") as raised:
        write(tmp_path / "function.zip", lambda file: write_zip(file, {"lib.so": tmp_path / "lib.so"}))
    assert raised.value.where == str(tmp_path / "lib.so")
    assert list(tmp_path.iterdir()) == []
