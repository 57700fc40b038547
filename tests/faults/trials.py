"""One fault, one command, and whether every promise was kept."""

from __future__ import annotations

import errno
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import power
from tests.faults.injector import Injector, Outcome
from tests.faults.promises import (
    Digest,
    broken_listings,
    changed_before,
    digest,
    fingerprint,
    newest,
    other_than,
    rubbish,
    unclear,
    unkept,
    without_chance,
)
from tests.faults.state import NAMES, OPEN_TO_READ, OPEN_TO_WRITE, READ, SYNC, WRITE
from tests.faults.verbs import Ground, argv_of, copy

_WRITING = OPEN_TO_WRITE | WRITE | SYNC | NAMES


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the Nth operation of these kinds."""

    name: str
    mode: str
    kinds: int
    error: int = 0


# Those that happen once before those that happen from then on: where nothing came after the one, both are the same.
FAULTS = (
    Fault("killed", "kill", _WRITING),
    Fault("killed in the middle of a write", "tear and kill", WRITE),
    Fault("disk full, once", "fail once", OPEN_TO_WRITE | WRITE | NAMES, errno.ENOSPC),
    Fault("disk full, from then on", "fail on", OPEN_TO_WRITE | WRITE | NAMES, errno.ENOSPC),
    Fault("disk full in the middle of a write", "tear and fail", WRITE, errno.ENOSPC),
    Fault("a write that fails", "fail once", WRITE | SYNC, errno.EIO),
    Fault("a read that fails", "fail once", OPEN_TO_READ | READ, errno.EIO),
    Fault("a disk that fails", "fail on", WRITE | SYNC | READ, errno.EIO),
    Fault("read-only from then on", "fail on", OPEN_TO_WRITE | NAMES, errno.EROFS),
    Fault("too many open files, once", "fail once", OPEN_TO_WRITE | OPEN_TO_READ, errno.EMFILE),
    Fault("too many open files, from then on", "fail on", OPEN_TO_WRITE | OPEN_TO_READ, errno.EMFILE),
)


@dataclass(slots=True)
class Bench:
    """What a command's trials are measured against."""

    name: str
    ground: Ground
    injector: Injector
    before: Digest
    after: Digest
    newest: dict[str, str]
    sequence: bytes  # the kinds of all operations of a clean run
    reruns: dict[str, list[str]] = field(default_factory=dict)
    listings: dict[str, list[str]] = field(default_factory=dict)
    # Of what happened once: an error at an operation -> the kinds of those that came after it.
    once: dict[tuple[int, int], int] = field(default_factory=dict)
    done_to: list[str] = field(default_factory=list)  # the path of each operation, if anybody asked

    def n_operations(self, fault: Fault) -> int:
        """How many operations of the fault's kinds a clean run takes."""
        return len(self._places(fault))

    def is_told(self, fault: Fault, nth: int) -> bool:
        """Whether it was tried already, as a fault that happens once: nothing that could fail came after it."""
        places = self._places(fault)
        if fault.mode != "fail on" or nth > len(places):
            return False
        return not self.once.get((fault.error, places[nth - 1]), fault.kinds) & fault.kinds

    def _places(self, fault: Fault) -> list[int]:
        return [at for at, kind in enumerate(self.sequence, start=1) if kind & fault.kinds]

    def is_at(self, words: str, fault: Fault, nth: int) -> bool:
        """Whether a path that holds these words is what the operation is done to; so it is where there is none."""
        if not words:
            return True
        if not self.done_to:
            notes, _ = self._noted(is_fresh=False)
            self.done_to = (notes / "operations").read_text().split("\0")[:-1]
        places = self._places(fault)
        return nth > len(places) or words in self.done_to[places[nth - 1] - 1]

    def trial(self, fault: Fault, nth: int) -> tuple[str, list[str]]:
        """The operation that was hit ("" if there are not so many), and the promises that were broken."""
        self.ground.reset(self.name)
        area = self.ground.area
        outcome = self.injector.run(argv_of(self.name), area, fault.mode, fault.kinds, nth, fault.error)
        if not outcome.hit:
            return "", []
        if fault.mode == "fail once":
            self.once[fault.error, outcome.hit_at] = outcome.kinds_after
        now = self.ground.laid.digest()
        broken = self._not_as_before(now)
        if words := unclear(outcome, fault.mode):
            broken.append(words)
        # A photo that cannot be read is a row with a reason: another snapshot, of which the next one tells.
        is_other_lake = outcome.code == 0 and f"{area}/lake" in outcome.hit
        return outcome.hit, broken + self._rerun_once(now, is_other_lake)

    def trace(self) -> power.Trace:
        """A clean run, with notes of all that it does."""
        notes, outcome = self._noted(is_fresh=False)
        copy(self.ground.area, notes / "after")
        return power.Trace(notes, self.ground.area, self.ground.state(self.name), notes / "after", outcome.out)

    def operations(self, *, is_fresh: bool) -> Counter[str]:
        """All operations of a clean run, each with its path: of a fork, or of a fresh process."""
        notes, _ = self._noted(is_fresh=is_fresh)
        return Counter(without_chance((notes / "operations").read_bytes().decode()).split("\0")[:-1])

    def _noted(self, *, is_fresh: bool) -> tuple[Path, Outcome]:
        self.ground.reset(self.name)
        notes = self.ground.folder / "notes"
        shutil.rmtree(notes, ignore_errors=True)
        notes.mkdir()
        outcome = self.injector.run(argv_of(self.name), self.ground.area, trace=notes, is_fresh=is_fresh)
        assert outcome.code == 0, outcome.err
        return notes, outcome

    def power_cut(self, trace: power.Trace, n: int, model: str, seed: int) -> list[str]:
        """The promises that are broken where the power fails after n events of a clean run."""
        area = self.ground.area
        power.lay(trace.cut(n, model, seed), area)
        now = self.ground.laid.digest()
        broken = self._not_as_before(now)
        broken += [f"said and lost: {line}" for line in unkept(trace.said(n), self.ground.folder)]
        if n == len(trace.events):
            broken += [f"lost after the end: {path}" for path in other_than(self.after, now)]
            if newest(area / "work") != self.newest:
                broken.append("the newest product is not known after the end")
        return broken + self._rerun_once(now)

    def _not_as_before(self, now: Digest) -> list[str]:
        area = self.ground.area
        changed = changed_before(self.before, now, self.ground.state(self.name), area)
        broken = [f"changed: {path}" for path in changed]
        return broken + [f"listed and broken: {words}" for words in self._broken_listings(now)]

    def _broken_listings(self, now: Digest) -> list[str]:
        state = fingerprint(now)
        if state not in self.listings:
            self.listings[state] = broken_listings(self.ground.area / "work")
        return self.listings[state]

    def _rerun_once(self, now: Digest, is_other_lake: bool = False) -> list[str]:
        state = fingerprint(now)
        if state not in self.reruns:
            self.reruns[state] = self._rerun(is_other_lake)
        return self.reruns[state]

    def _rerun(self, is_other_lake: bool) -> list[str]:
        area = self.ground.area
        outcome = self.injector.run(argv_of(self.name), area)
        if outcome.code:
            return [f"the rerun ends with {outcome.code}: {outcome.err[-1500:]}"]
        now = self.ground.laid.digest()
        differ, left = other_than(self.after, now), rubbish(self.after, now)
        if is_other_lake:
            differ = [path for path in differ if not path.endswith("/changes.parquet")]
            left = [path for path in left if not path.startswith("work/snapshots/")]
        broken = [f"other after the rerun: {path}" for path in differ]
        broken += [f"left behind: {path}" for path in left]
        broken += [f"broken after the rerun: {words}" for words in self._broken_listings(now)]
        if newest(area / "work") != self.newest:
            broken.append("the rerun's product is not the newest")
        return broken


def bench(name: str, ground: Ground, injector: Injector) -> Bench:
    """What a clean run began with and left."""
    before, after = digest(ground.state(name)), digest(ground.state(f"after {name}"))
    assert before != after, f"{name} does nothing: its trials would prove nothing"
    last = newest(ground.state(f"after {name}") / "work")
    ground.reset(name)
    sequence = injector.run(argv_of(name), ground.area).sequence
    assert ground.laid.digest() == digest(ground.area), "what was written has the times of what was not"
    return Bench(name, ground, injector, before, after, last, sequence)


def folder_for(default: Path) -> Path:
    """Memory where there is some: thousands of copies and fsyncs wear no disk."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else default
