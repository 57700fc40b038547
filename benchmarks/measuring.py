"""A command in a process of its own: its output, seconds, and the memory of it and all that it starts."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.build import WEIGHTS
from fledged.settings.lake import ReviewConfig

_EVERY_S = 0.1
# To add up the pages of some gigabytes takes the kernel tens of milliseconds, in which they cannot grow: ten times a
# second that slowed fastai and us. At most this share of a core is taken from what is measured.
_SHARE = 0.01
MEMORY_METHOD = (
    "Memory: the highest sum, sampled every 0.1 s or as often as a hundredth of a core allows, of the proportional\n"
    "set sizes (PSS in /proc/PID/smaps_rollup: pages that processes share count once) of the command and all below."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """How a command went."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    cpu_s: float  # of all cores, user and system: hardly moved by what else the machine does
    peak_mib: float
    parent_mib: float = (
        0.0  # the highest resident set of the command itself (VmHWM), and of the largest process below it
    )
    child_mib: float = 0.0


def fledged(*arguments: str) -> list[str]:
    """The command line of fledged in this environment."""
    return [sys.executable, "-m", "fledged", *arguments]


def run(command: Sequence[str], env: Mapping[str, str] | None = None, check: bool = True) -> Measured:
    """Run to the end. With `check`, a failure ends the benchmark and shows what the command said."""
    start_s, start_cpu_s = time.monotonic(), _children_cpu_s()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    ) as process:
        peak = _Peak(process.pid)
        peak.start()
        stdout, stderr = process.communicate()
        seconds = time.monotonic() - start_s
        peak.stop()
    if check and process.returncode:
        sys.exit(f"{' '.join(command)}\nended with {process.returncode}:\n{stderr[-4000:]}")
    cpu_s = _children_cpu_s() - start_cpu_s
    peaks = (peak.bytes / 2**20, peak.parent_bytes / 2**20, peak.child_bytes / 2**20)
    return Measured(process.returncode, stdout, stderr, seconds, cpu_s, *peaks)


def no_page() -> list[str]:
    """The flag that keeps the review from opening a page, where it has one."""
    return ["--no-open"] if "--no-open" in run(fledged("review", "--help")).stdout else []


def weights_flags(verb: str) -> list[str]:
    """The flag or setting that names the weights, where the verb has one and the file is there."""
    if not WEIGHTS.is_file():
        return []
    if "--weights" in run(fledged(verb, "--help")).stdout:
        return ["--weights", str(WEIGHTS)]
    return ["--set", f"review.weights={WEIGHTS}"] if verb == "review" and "weights" in ReviewConfig.model_fields else []


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Peak(threading.Thread):
    """Watches a process and its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.bytes = self.parent_bytes = self.child_bytes = 0
        self._pid = pid
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.is_set():
            start_s = time.thread_time()
            processes = tree(self._pid)
            self.bytes = max(self.bytes, sum(map(_pss_bytes, processes)))
            self.parent_bytes = max(self.parent_bytes, _peak_bytes(self._pid))
            self.child_bytes = max(self.child_bytes, *map(_peak_bytes, processes[1:]), 0)
            self._done.wait(max(_EVERY_S, (time.thread_time() - start_s) / _SHARE))

    def stop(self) -> None:
        """Watch no longer."""
        self._done.set()
        self.join()


def tree(pid: int) -> list[int]:
    """The process and all below it. Orphans are lost to us; what fledged starts ends with it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:  # ended meanwhile
                continue
    return found


def _peak_bytes(pid: int) -> int:
    """The most that a process has had resident so far, as the kernel counts it: no sample can miss it."""
    return _told(pid, "status", "VmHWM:")


def _pss_bytes(pid: int) -> int:
    return _told(pid, "smaps_rollup", "Pss:")


def _told(pid: int, file: str, name: str) -> int:
    """Bytes that the kernel tells of a process under this name; 0 where it has ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
