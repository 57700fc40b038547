"""Every fault at every file operation of every command: `python -m tests.faults [--every K] [COMMAND …]`.

Takes hours. With `--every K`, each Kth operation. Prints a table, and each broken promise; fails if there is any.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import power
from tests.faults.injector import MISSING, Injector
from tests.faults.trials import FAULTS, Bench, bench, folder_for
from tests.faults.verbs import COMMANDS, FIRST, lay_ground

SEEDS = (8, 9, 10, 11, 12)  # of what a power cut leaves, where chance has a part in it


def main() -> int:
    """The number of broken promises."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="K")
    words = "only faults whose name holds these words; may be given again, for others too"
    parser.add_argument("--only", action="append", metavar="WORDS", help=words)
    parser.add_argument("--at", default="", metavar="WORDS", help="only operations on paths that hold these words")
    parser.add_argument(
        "commands",
        nargs="*",
        metavar="COMMAND",
        help=f"{', '.join(COMMANDS)}; and each of them after `{FIRST.strip()} `",
    )
    asked = parser.parse_args()
    if MISSING:
        print(f"not tried: {MISSING}")
        return 0
    n_broken = 0
    with tempfile.TemporaryDirectory(dir=folder_for(Path(tempfile.gettempdir()))) as text:
        injector = Injector(Path(text))
        try:
            wanted = tuple(asked.commands) or (*(FIRST + name for name in COMMANDS), *COMMANDS)
            for name, ground in lay_ground(Path(text) / "ground", injector, wanted):
                measured = bench(name, ground, injector)
                fresh, warm = (measured.operations(is_fresh=is_fresh) for is_fresh in (True, False))
                print(f"{name}: {fresh.total()} operations in a fresh process", flush=True)
                if differ := (fresh - warm) + (warm - fresh):
                    n_broken += 1
                    print(f"BROKEN {name}: a fork does not do the same: {dict(differ)}", flush=True)
                for fault in FAULTS:
                    if not _is_asked(fault.name, asked.only) or name.startswith(FIRST):
                        continue
                    start_s, n_trials, n_told, n_bad, nth = time.perf_counter(), 0, 0, 0, 1
                    while True:
                        if not measured.is_at(asked.at, fault, nth):
                            nth += asked.every
                            continue
                        if measured.is_told(fault, nth):
                            n_told, nth = n_told + 1, nth + asked.every
                            continue
                        hit, broken = measured.trial(fault, nth)
                        if not hit:
                            break
                        n_trials, n_bad = n_trials + 1, n_bad + bool(broken)
                        for words in broken:
                            print(f"BROKEN {name}, {fault.name}, operation {nth} ({hit}): {words}", flush=True)
                        nth += asked.every
                    seconds = time.perf_counter() - start_s
                    trials = f"{n_trials} and {n_told} that were told by others" if n_told else n_trials
                    row = f"| {name} | {fault.name} | {trials} | {n_bad} | {seconds:.0f} s |"
                    print(row, flush=True)
                    n_broken += n_bad
                for model in power.MODELS:
                    if _is_asked(what := f"power cut, {model}", asked.only):
                        n_broken += _cut_power(measured, model, what, asked.every)
                print(f"{name}: {len(measured.reruns)} different states were run again", flush=True)
        finally:
            injector.close()
    return n_broken


def _is_asked(name: str, only: list[str] | None) -> bool:
    return not only or any(words in name for words in only)


def _cut_power(measured: Bench, model: str, what: str, every: int) -> int:
    start_s, trace = time.perf_counter(), measured.trace()
    after = [*range(0, len(trace.events), every), len(trace.events)]
    n_trials, n_bad = 0, 0
    for n, seed in itertools.product(after, SEEDS if model == "mixed" else SEEDS[:1]):
        broken = measured.power_cut(trace, n, model, seed)
        n_trials, n_bad = n_trials + 1, n_bad + bool(broken)
        last = " ".join((trace.events[n - 1].kind, trace.events[n - 1].path)) if n else "nothing"
        for words in broken:
            print(f"BROKEN {measured.name}, {what}, seed {seed}, after event {n} ({last}): {words}", flush=True)
    print(f"| {measured.name} | {what} | {n_trials} | {n_bad} | {time.perf_counter() - start_s:.0f} s |", flush=True)
    return n_bad


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
