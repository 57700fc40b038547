"""Lines that survive being killed in the middle of one."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.collecting.journal import Journal, read_lines
from fledged.provenance import Provenance, read_provenance

LINES = [Provenance(path=f"owl/сова {n}.jpg", group="a").model_dump_json() for n in range(3)]


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, 400))
def test_whatever_is_cut_off_whole_lines_are_read_and_more_may_follow(tmp_path_factory: object, cut: int) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "torn"  # type: ignore[attr-defined]
    folder.mkdir(exist_ok=True)
    log = folder / "provenance.jsonl"
    whole = "".join(f"{line}\n" for line in LINES).encode()
    log.write_bytes(whole[:cut])
    n_whole = sum(1 for line in whole[:cut].split(b"\n") if line in [known.encode() for known in LINES])
    assert len(list(read_provenance(folder))) == n_whole
    with Journal(log) as journal:
        journal.append(LINES[0])
        journal.append(LINES[1])
    assert [line.path for line in list(read_provenance(folder))][n_whole:] == ["owl/сова 0.jpg", "owl/сова 1.jpg"]
    assert len(list(read_lines(log))) == n_whole + 2
    assert log.read_bytes().startswith(whole[:cut])


def test_a_journal_that_is_not_written_to_is_no_file(tmp_path: Path) -> None:
    with Journal(tmp_path / "a/b.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []
    assert list(read_lines(tmp_path / "a/b.jsonl")) == []


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xff\n[1]\n{"a": 1}\n{"b"')
    assert list(read_lines(tmp_path / "a.jsonl")) == [json.loads('{"a": 1}')]
