"""Damaged photos on all ways that photos come in: `python -m fuzz.photos [--folder DIR] [--flips N] [--every K]`.

Each way runs in a process of its own, so that a crash is counted, not suffered. Fails on a crash, on an exception, on
more than 512 MB, and on what is so three times: more than 5 s, and ways that do not agree whether a photo is good.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from fuzz import corpus
from fuzz.ways import LIMIT_MB, LIMIT_S, Answer, Ways, all_ways, memory_mb

_CHUNK = 400
_ASKED = 3

Case = tuple[str, bytes]


@dataclass
class Found:
    """What came of some photos."""

    counts: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    most_mb: dict[str, float] = field(default_factory=dict)  # here, and in a decoder of the server

    def add(self, other: Found) -> None:
        """With what came of others."""
        self.counts += other.counts
        self.defects += other.defects
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.saw(other.most_mb)

    def saw(self, held_mb: dict[str, float]) -> None:
        """Memory that processes held at a moment."""
        self.most_mb = {name: max(mb, self.most_mb.get(name, 0.0)) for name, mb in held_mb.items()}


def ask_all(cases: Iterable[Case]) -> Found:
    """Ask about each, in this process."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder, all_ways(Path(folder)) as ways:
        for name, data in cases:
            try:
                answer = _asked(ways, data)
            except Exception as error:  # whatever it is, it is what is looked for
                found.defects.append(f"{name}: raised {type(error).__name__}: {error}")
                continue
            found.counts["good" if all(answer.is_good.values()) else "bad"] += 1
            found.slowest_s = max(found.slowest_s, answer.seconds)
            found.saw(memory_mb())  # by now: a decoder may be replaced at the next photo
            if not answer.is_agreed:
                found.defects.append(f"{name}: the ways do not agree: {answer.words}")
            if answer.seconds > LIMIT_S:
                found.defects.append(f"{name}: took {answer.seconds:.1f} s")
    for name, held_mb in found.most_mb.items():
        if held_mb > LIMIT_MB:
            found.defects.append(f"{cases!r:.60}: {held_mb:.0f} MB {name}")
    return found


def _asked(ways: Ways, data: bytes) -> Answer:
    """What they say; asked up to three times, since on a machine that does other work anything may be late once."""
    for _ in range(_ASKED):
        answer = ways.ask(data)
        if answer.is_agreed and answer.seconds <= LIMIT_S:
            break
    return answer


def ask_apart(cases: Iterator[Case]) -> Found:
    """Ask about chunks in processes of their own; the photo that ends one is found by asking about each alone."""
    found, fresh = Found(), multiprocessing.get_context("spawn")
    for chunk in iter(lambda: list(itertools.islice(cases, _CHUNK)), []):
        pending = [chunk]
        while pending:
            some = pending.pop()
            try:
                with ProcessPoolExecutor(1, mp_context=fresh) as pool:
                    found.add(pool.submit(ask_all, some).result())
            except BrokenProcessPool:
                if len(some) == 1:
                    found.defects.append(f"{some[0][0]}: ended its process")
                else:
                    pending += [some[: len(some) // 2], some[len(some) // 2 :]]
    return found


def main() -> int:
    """1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.photos", description=__doc__)
    parser.add_argument("--folder", type=Path, help="a folder of hostile photos, such as Pillow's Tests/images")
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=1, help="cut after every Kth byte")
    parser.add_argument("--seed", type=int, default=8)
    asked = parser.parse_args()
    groups: dict[str, Iterator[Case]] = {"forged": corpus.forged()}
    if asked.folder:
        groups["folder"] = corpus.folder(asked.folder)
    groups["truncations"] = corpus.truncations(asked.every)
    groups["flips"] = corpus.flips(asked.flips, asked.seed)
    n_defects = 0
    for name, cases in groups.items():
        found = ask_apart(cases)
        n_defects += len(found.defects)
        memory = ", ".join(f"{held_mb:.0f} MB {where}" for where, held_mb in found.most_mb.items())
        print(f"{name}: {dict(found.counts)}, slowest {found.slowest_s:.2f} s, most {memory}", flush=True)
        for words in found.defects:
            print(f"  DEFECT {words}", flush=True)
    return min(1, n_defects)


if __name__ == "__main__":
    sys.exit(main())
