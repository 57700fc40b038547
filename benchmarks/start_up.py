"""How long `import fledged` and `fledged --help` take, against an interpreter that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks import results

ROUNDS = 15
SUBJECTS = (
    ("python -c pass (the floor)", [sys.executable, "-c", "pass"]),
    ("import fledged", [sys.executable, "-c", "import fledged"]),
    ("fledged --help", [sys.executable, "-m", "fledged", "--help"]),
)


def main() -> None:
    """Measure in turns, so that a busy moment hits all alike, and write the table."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in SUBJECTS}
    for _ in range(ROUNDS):
        for name, command in SUBJECTS:
            start_s = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start_s)
    floor_s = statistics.median(seconds[SUBJECTS[0][0]])
    rows = [
        [name, f"{statistics.median(times) * 1000:.0f}", f"{(statistics.median(times) - floor_s) * 1000:.0f}"]
        for name, times in seconds.items()
    ]
    results.write(
        "Start-up",
        "python -m benchmarks start_up",
        ["what", f"ms, whole process, median of {ROUNDS}", "ms above the floor"],
        rows,
    )
