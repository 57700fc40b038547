"""Every fault at every file operation of every command: `python -m tests.faults [--every K] [COMMAND …]`.

Takes hours. With `--every K`, each Kth operation. Prints a table, and each broken promise; fails if there is any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.injector import MISSING, Injector
from tests.faults.trials import FAULTS, bench, folder_for
from tests.faults.verbs import COMMANDS, lay_ground


def main() -> int:
    """The number of broken promises."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="K")
    parser.add_argument("--only", default="", metavar="WORDS", help="only faults whose name holds these words")
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    asked = parser.parse_args()
    if MISSING:
        print(f"not tried: {MISSING}")
        return 0
    n_broken = 0
    with tempfile.TemporaryDirectory(dir=folder_for(Path(tempfile.gettempdir()))) as text:
        injector = Injector(Path(text))
        try:
            for name, ground in lay_ground(Path(text) / "ground", injector, tuple(asked.commands) or tuple(COMMANDS)):
                measured = bench(name, ground, injector)
                for fault in FAULTS:
                    if asked.only not in fault.name:
                        continue
                    start_s, n_trials, n_bad, nth = time.perf_counter(), 0, 0, 1
                    while True:
                        hit, broken = measured.trial(fault, nth)
                        if not hit:
                            break
                        n_trials, n_bad = n_trials + 1, n_bad + bool(broken)
                        for words in broken:
                            print(f"BROKEN {name}, {fault.name}, operation {nth} ({hit}): {words}", flush=True)
                        nth += asked.every
                    seconds = time.perf_counter() - start_s
                    row = f"| {name} | {fault.name} | {n_trials} | {n_bad} | {seconds:.0f} s |"
                    print(row, flush=True)
                    n_broken += n_bad
                print(f"{name}: {len(measured.reruns)} different states were run again", flush=True)
        finally:
            injector.close()
    return n_broken


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
