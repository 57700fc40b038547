"""Where photos came from, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged.errors import LakeError
from fledged.provenance import FILE_NAME, TORN, Provenance, read_provenance

OWL = Provenance(path="owl/1.jpg", sha256="ab", source_url="https://example.org/1.jpg", group="nest")


def test_lines_are_read_as_written(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(f"{OWL.model_dump_json()}\n\n" + '{"path": "owl/сова.jpg", "later": 1}\n')
    assert list(read_provenance(tmp_path)) == [OWL, Provenance(path="owl/сова.jpg")]


def test_no_file_is_no_line(tmp_path: Path) -> None:
    assert list(read_provenance(tmp_path)) == []


@pytest.mark.parametrize("torn", [b'{"path": "owl/2', '{"path": "сов'.encode()[:-1], b"{"])
def test_what_a_crash_cut_off_is_left_out(tmp_path: Path, torn: bytes) -> None:
    whole = OWL.model_dump_json().encode() + b"\n"
    (tmp_path / FILE_NAME).write_bytes(whole + torn)
    assert list(read_provenance(tmp_path)) == [OWL]
    (tmp_path / FILE_NAME).write_bytes(whole + torn + TORN + b"\n" + whole)
    assert list(read_provenance(tmp_path)) == [OWL, OWL]


@pytest.mark.parametrize("bad", [b"owl/1.jpg", b'{"sha256": "ab"}', b"\xff\xfe"])
def test_a_bad_line_is_named(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(OWL.model_dump_json().encode() + b"\n" + bad + b"\n")
    with pytest.raises(LakeError, match="Line 2"):
        list(read_provenance(tmp_path))
