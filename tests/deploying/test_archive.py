"""A zip of the same files has the same bytes."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fledged.deploying.archive import write_zip

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
