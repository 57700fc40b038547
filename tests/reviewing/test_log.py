"""The log under many hands: nothing is lost, nothing is overwritten unseen, and the file says it all."""

from __future__ import annotations

import errno
import re
import threading
from pathlib import Path

import pytest

from fledged import regular
from fledged.errors import ProductError, WorkspaceError
from fledged.reviewing.decisions import Decision, read_decisions
from fledged.reviewing.log import DecisionLog


def drop(path: str) -> Decision:
    return Decision(path=path, action="drop", reviewer="ana")


def keep(path: str) -> Decision:
    return Decision(path=path, action="keep", reviewer="ben")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "work" / "decisions.jsonl"


def test_what_is_appended_is_on_the_disk_and_seen_by_others(file: Path) -> None:
    ours, theirs = DecisionLog(file), DecisionLog(file)
    assert theirs.follow() == {}
    written = ours.append([drop("a.jpg"), drop("b.jpg")], [None, None])
    assert written is not None
    assert file.read_bytes() == b"".join(decision.line() for decision in written)
    assert theirs.follow() == {"a.jpg": written[0], "b.jpg": written[1]}
    assert theirs.changes_since(1) == (2, {"b.jpg": written[1]})
    assert theirs.changes_since(2) == (2, {})


def test_a_decision_on_a_state_that_is_no_more_changes_nothing(file: Path) -> None:
    ours, theirs = DecisionLog(file), DecisionLog(file)
    theirs.append([keep("b.jpg")], [None])
    before = file.read_bytes()
    assert ours.append([drop("a.jpg"), drop("b.jpg")], [None, None]) is None
    assert file.read_bytes() == before
    seen = ours.follow()["b.jpg"]
    assert ours.append([drop("a.jpg"), drop("b.jpg")], [None, seen]) is not None
    assert read_decisions(file)["action"].to_list() == ["drop", "drop"]


def test_taking_back_is_a_line_too(file: Path) -> None:
    log = DecisionLog(file)
    (made,) = log.append([drop("a.jpg")], [None]) or []
    log.append([Decision(path="a.jpg", action="undecide")], [made])
    assert read_decisions(file).is_empty()
    assert log.append([keep("a.jpg")], [None]) is not None
    assert len(file.read_text().splitlines()) == 3


def test_a_clock_that_is_behind_does_not_lose_a_decision(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(Decision(path="a.jpg", action="keep", time="2999-01-01T00:00:00Z").line())
    log = DecisionLog(file)
    assert log.append([drop("a.jpg")], [log.follow()["a.jpg"]]) is not None
    assert read_decisions(file)["action"].to_list() == ["drop"]


@pytest.mark.parametrize("rest", [b'{"path": "b.jpg", "act', b"{", '{"path": "ü'.encode()[:-1]])
def test_a_last_line_that_a_crash_cut_off_is_left_and_a_new_one_begins(file: Path, rest: bytes) -> None:
    log = DecisionLog(file)
    log.append([drop("a.jpg")], [None])
    with file.open("ab") as appending:
        appending.write(rest)
    assert set(log.follow()) == {"a.jpg"}
    for reader in (log, DecisionLog(file)):
        path = f"{id(reader)}.jpg"
        assert reader.append([keep(path)], [None]) is not None
        assert path in read_decisions(file)["path"]
    assert rest in file.read_bytes().split(b"\n")


def test_a_last_line_without_its_newline_counts(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b'{"path": "a.jpg", "action": "keep"}')
    log = DecisionLog(file)
    assert set(log.follow()) == {"a.jpg"}
    log.append([drop("b.jpg")], [None])
    assert set(log.follow()) == {"a.jpg", "b.jpg"}
    assert len(file.read_text().splitlines()) == 2


def test_an_edited_log_is_read_again(file: Path) -> None:
    log = DecisionLog(file)
    log.append([drop("a.jpg"), drop("b.jpg")], [None, None])
    version, _ = log.changes_since(0)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[1].replace(b"drop", b"keep"))
    _, changed = log.changes_since(version)
    assert {path: d and d.action for path, d in changed.items()} == {"a.jpg": None, "b.jpg": "keep"}
    file.unlink()
    assert log.follow() == {}


def test_a_spoilt_log_is_told_with_its_line_and_forgiven_once_it_is_mended(file: Path) -> None:
    log = DecisionLog(file)
    log.append([drop("a.jpg"), drop("b.jpg")], [None, None])
    good = file.read_bytes()
    file.write_bytes(good + keep("c.jpg").line() + b"=======\n")
    for _ in range(2):
        with pytest.raises(ProductError, match="Line 4 is a conflict marker"):
            log.follow()
    with pytest.raises(ProductError, match="Line 4"):
        log.append([drop("d.jpg")], [None])
    file.write_bytes(good + keep("c.jpg").line())
    assert set(log.follow()) == {"a.jpg", "b.jpg", "c.jpg"}


def test_a_disk_that_refuses_is_one_line(file: Path) -> None:
    file.mkdir(parents=True)  # in the log's place
    with pytest.raises((WorkspaceError, ProductError), match=r"Cannot write|directory"):
        DecisionLog(file).append([drop("a.jpg")], [None])


def test_a_log_that_cannot_be_read_for_a_moment_is_one_line_and_nothing_is_lost(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DecisionLog(file).append([drop("a.jpg")], [None])
    log = DecisionLog(file)

    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(regular, "read", fail)
        with pytest.raises(WorkspaceError, match=r"Cannot read the decisions: Input/output error") as told:
            log.follow()
        assert str(told.value.where) == str(file)
        with pytest.raises(WorkspaceError, match="Cannot read"):
            log.append([drop("b.jpg")], [None])
        with pytest.raises(OSError, match=re.escape(str(file))):  # the command line makes one line of it
            read_decisions(file)
    assert set(log.follow()) == {"a.jpg"}


def test_many_hands_at_once_lose_nothing(file: Path) -> None:
    logs = [DecisionLog(file) for _ in range(3)]

    def work(number: int) -> None:
        for i in range(15):
            log = logs[number % 3]
            assert log.append([drop(f"{number}-{i}.jpg")], [None]) is not None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read_text().splitlines()) == 90
    assert all(len(log.follow()) == 90 for log in logs)
    assert {d.reviewer for d in logs[0].follow().values()} == {"ana"}
