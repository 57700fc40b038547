"""What a computation takes: wall time, processor time, energy where it is measured; and by which processor."""

from __future__ import annotations

import platform
import resource
import time
from pathlib import Path

from fledged.measured import Spent

# The counters of Intel's and AMD's processors (RAPL), which many systems let only administrators read.
_COUNTERS = Path("/sys/class/powercap")


class Meter:
    """Counts from its making on; energy is that of the whole package, whatever else runs on it."""

    def __init__(self, counters: Path = _COUNTERS) -> None:
        self._counters = counters
        self._start_s, self._start_cpu_s, self._start_uj = time.monotonic(), _cpu_s(), _energy_uj(counters)

    def spent(self) -> Spent:
        """What was spent so far."""
        return Spent(
            seconds=time.monotonic() - self._start_s,
            cpu_seconds=max(0.0, _cpu_s() - self._start_cpu_s),
            joules=_joules(self._start_uj, _energy_uj(self._counters)),
        )


def cpu_name() -> str:
    """As the system calls it."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _cpu_s() -> float:
    """Of this process and of those that it has waited for."""
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + below.ru_utime + below.ru_stime


def _energy_uj(folder: Path) -> dict[str, tuple[int, int]]:
    """The counter of each package in microjoules, and where it starts again; empty where there is none to be read."""
    found = {}
    for package in sorted(folder.glob("intel-rapl:*")):
        if package.name.count(":") != 1:
            continue  # a part of a package, which is in its sum
        try:
            counter = int((package / "energy_uj").read_text())
            found[package.name] = (counter, int((package / "max_energy_range_uj").read_text()))
        except (OSError, ValueError):
            return {}
    return found


def _joules(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> float | None:
    if not before or before.keys() != after.keys():
        return None
    # A counter that is lower than before has begun again; that it did so twice, in hours, cannot be seen.
    return sum((after[name][0] - start) % (most + 1) for name, (start, most) in before.items()) / 1e6
