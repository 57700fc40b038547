"""What a power cut may leave, by each model, of a few events."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.power import Held, Trace, lay

SYNC_A = [("make", "new/.a", ""), ("write", "new/.a", "3"), ("sync", "new/.a", "1")]
RENAME_A = [("rename", "new/.a", "new/a")]
UNSYNCED = [("mkdir", "new", ""), ("make", "new/.a", ""), ("write", "new/.a", "3"), *RENAME_A]
SYNCED = [("mkdir", "new", ""), *SYNC_A, *RENAME_A, ("sync folder", "new", "0")]
APPENDED = [("write", "log", "9")]


class Ground:
    """A disk with `log`; what is done to it ends in `new/a` and a longer log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.area = folder, folder / "area"
        for place in ("before", "notes", "after/new"):
            (folder / place).mkdir(parents=True)
        (folder / "before/log").write_bytes(b"one\n")
        (folder / "after/log").write_bytes(b"one\ntwo\n\n")
        (folder / "after/new/a").write_bytes(b"abc")
        (folder / "notes/1").write_bytes(b"abc")

    def trace(self, *events: tuple[str, str, str]) -> Trace:
        """What did all this."""
        words = [
            (kind, str(self.area / path), str(self.area / more) if kind == "rename" else more)
            for kind, path, more in events
        ]
        (self.folder / "notes/events").write_text("".join(f"{word}\0" for event in words for word in event))
        return Trace(self.folder / "notes", self.area, self.folder / "before", self.folder / "after", "")

    def left(self, held: Held) -> dict[str, bytes]:
        """The files that lie in the area then."""
        lay(held, self.area)
        return {
            path.relative_to(self.area).as_posix(): path.read_bytes() for path in self.area.rglob("*") if path.is_file()
        }


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_what_was_never_synced_is_gone_or_empty(ground: Ground) -> None:
    trace = ground.trace(*UNSYNCED)
    assert ground.left(trace.cut(4, "strict", 0)) == {"log": b"one\n"}
    assert ground.left(trace.cut(4, "names", 0)) == {"log": b"one\n", "new/a": b""}
    assert ground.left(trace.cut(2, "names", 0)) == {"log": b"one\n", "new/.a": b""}


def test_a_synced_folder_is_gone_until_the_one_above_it_is_synced(ground: Ground) -> None:
    trace = ground.trace(*SYNCED, ("sync folder", "", "0"))
    assert ground.left(trace.cut(6, "strict", 0)) == {"log": b"one\n"}
    assert ground.left(trace.cut(7, "strict", 0)) == {"log": b"one\n", "new/a": b"abc"}
    assert ground.left(trace.cut(6, "names", 0)) == {"log": b"one\n", "new/a": b"abc"}


def test_by_chance_a_line_is_lost_torn_or_ends_in_zeros(ground: Ground) -> None:
    trace = ground.trace(*UNSYNCED, *APPENDED)
    left = {ground.left(trace.cut(5, "mixed", seed))["log"] for seed in range(100)}
    assert {b"one\n", b"one\ntwo\n\n", b"one\ntw", b"one\ntw\0\0\0"} <= left
    assert all(log.startswith(b"one\n") and len(log) <= 9 for log in left)
    names = [ground.left(trace.cut(5, "mixed", seed)).keys() for seed in range(100)]
    assert {"log"} in names
    assert {"log", "new/a"} in names


def test_notes_that_lack_an_event_are_an_error(ground: Ground) -> None:
    with pytest.raises(AssertionError, match=r"differ: \['new/a'\]"):
        ground.trace(("mkdir", "new", ""))
