"""The log of decisions, open for writing: several tabs and processes may append to it at a time.

A decision is one write to the end of the file and one fsync, before anybody is told that it was made. What stands is
always what the file says: it is read again as soon as somebody else has changed it.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from fledged import regular
from fledged.errors import WorkspaceError
from fledged.reviewing.decisions import Decision, Tally, is_cut_off
from fledged.writing import disk_errors, make_folder, sync_folder

_LOCK_TIMEOUT_S = 30.0
_LOOK_EVERY_S = 5.0  # for decisions that were made on other machines

# No log begins so: it makes the next look read everything.
_SPOILT = b"\0"

Signature = tuple[int, int, int]


class DecisionLog:
    """A log that is followed and appended to; safe to use from several threads."""

    def __init__(self, path: Path, sync: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._sync = sync  # with the logs of others, where the working folder is not of this machine alone
        self._synced_s = float("-inf")
        self._thread_lock = threading.Lock()
        # Held for a write only, unlike the workspace's lock, which a training run holds for minutes.
        self._file_lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_TIMEOUT_S)
        self._tally = Tally()
        self._data = b""  # the whole lines that were counted
        self._signature: Signature | None = None
        self._changes: list[str] = []  # paths, in the order in which their decisions changed

    def follow(self) -> dict[str, Decision]:
        """What stands now, by path, `undecide` among it. Raises ProductError if the file was spoilt."""
        self._look_elsewhere()
        with self._thread_lock:
            self._refresh()
            return dict(self._tally.standing)

    def changes_since(self, version: int) -> tuple[int, dict[str, Decision | None]]:
        """The version now, which grows with each change, and what stands of each path that changed after `version`."""
        self._look_elsewhere()
        with self._thread_lock:
            self._refresh()
            return len(self._changes), {path: self._tally.standing.get(path) for path in self._changes[version:]}

    def append(self, decisions: Sequence[Decision], seen: Sequence[Decision | None]) -> list[Decision] | None:
        """The decisions as they were written, or None if one of them was made on a state that is no more.

        `seen` is what the reviewer saw to stand for each. Nothing is written in part: all of them, or none.
        """
        written = self._append(decisions, seen)
        if written:
            self._sync()
        return written

    def _append(self, decisions: Sequence[Decision], seen: Sequence[Decision | None]) -> list[Decision] | None:
        with self._thread_lock, disk_errors(self.path):
            make_folder(self.path.parent)
            with self._file_lock:
                self._refresh()
                standing = self._tally.standing
                if any(as_shown(standing.get(d.path)) != was for d, was in zip(decisions, seen, strict=True)):
                    return None
                written = [d.model_copy(update={"time": self._time(d.path)}) for d in decisions]
                self._write(b"".join(decision.line() for decision in written))
                self._refresh()
                return written

    def _look_elsewhere(self) -> None:
        if time.monotonic() - self._synced_s > _LOOK_EVERY_S:
            self._synced_s = time.monotonic()
            self._sync()

    def _time(self, path: str) -> str:
        """Now, but never before the decision that stands: a clock that is behind must not lose what is decided."""
        moment = max(datetime.now(UTC), self._tally.moment(path))
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _write(self, lines: bytes) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            # A crash may have left the last line unfinished: it stays what it is, and a new one begins.
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                lines = b"\n" + lines
            if os.write(descriptor, lines) < len(lines):
                os.ftruncate(descriptor, size)  # the disk is full: no half of a batch stays
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
            if not size:  # the file is new, and so is its name
                sync_folder(self.path.parent)
        finally:
            os.close(descriptor)

    def _refresh(self) -> None:
        try:
            status = self.path.stat()
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
            if signature == self._signature:
                return
            data = regular.read(self.path)
        except FileNotFoundError:
            signature, data = None, b""
        except OSError as error:
            words = f"Cannot read the decisions: {error.strerror or error}"
            remedy = "Nothing was changed. Mend it, and do the same again."
            raise WorkspaceError(words, where=self.path, remedy=remedy) from error
        known, whole = self._data, _whole_lines(data)
        new = whole[len(known) :]
        self._data = _SPOILT  # until all of it has been read
        if whole.startswith(known) and (known[-1:] in (b"", b"\n") or new[:1] in (b"", b"\n")):
            self._read_on(new if known[-1:] in (b"", b"\n") else new[1:])
        else:  # edited, merged or replaced
            self._read_again(whole)
        self._data, self._signature = whole, signature

    def _read_on(self, new: bytes) -> None:
        if new:
            for decision in self._tally.read(new.removesuffix(b"\n"), self.path):
                self._changes.append(decision.path)

    def _read_again(self, whole: bytes) -> None:
        before, tally = self._tally.standing, Tally()
        for _ in tally.read(whole.removesuffix(b"\n"), self.path):
            pass
        after = tally.standing
        self._changes.extend(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        self._tally = tally


def as_shown(decision: Decision | None) -> Decision | None:
    """A decision as a reviewer sees it: one that was taken back is none."""
    return None if decision is None or decision.action == "undecide" else decision


def _whole_lines(data: bytes) -> bytes:
    """Without a last line that is still being written; one that lacks only its newline is whole."""
    last = data[data.rfind(b"\n") + 1 :]
    return data[: len(data) - len(last)] if is_cut_off(last) else data
