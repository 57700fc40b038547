"""A real `fledged serve` in a process of its own, and what it holds while it is asked: memory, descriptors, threads."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import tree

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """The server and all processes below it, summed."""

    at_s: float
    rss_mib: float
    descriptors: int
    threads: int
    processes: int


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs, and the file that holds what it says."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def sample(self) -> Sample:
        """What it holds now."""
        rss = descriptors = threads = n = 0
        for pid in tree(self.process.pid):
            folder = Path(f"/proc/{pid}")
            with contextlib.suppress(OSError):  # ended meanwhile
                rss += int((folder / "statm").read_text().split()[1]) * _PAGE
                descriptors += len([*(folder / "fd").iterdir()])
                threads += len([*(folder / "task").iterdir()])
                n += 1
        return Sample(time.monotonic(), rss / 2**20, descriptors, threads, n)

    def decoders(self) -> list[int]:
        """The processes that decode photos."""
        return tree(self.process.pid)[1:]

    def stop(self) -> int:
        """End it as systems do, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def odd_lines(self) -> list[str]:
        """Lines of its log that are none of ours, and answers of 500 and above but 504."""
        odd = []
        for line in self.log.read_text().splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                odd.append(line)
                continue
            if told.get("status", 200) >= 500 and told["status"] != 504:
                odd.append(line)
        return odd


@contextlib.contextmanager
def served(bundle: Path, log: Path, settings: Sequence[str] = ()) -> Iterator[Server]:
    """A server of this bundle on a free port; it is ended with the block, if it has not ended by then."""
    flags = [word for setting in settings for word in ("--set", f"serve.{setting}")]
    command = [sys.executable, "-m", "fledged", "serve", str(bundle), "--port", "0", *flags]
    with (
        log.open("w") as told,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit(f"{' '.join(command)}\nended:\n{log.read_text()[-4000:]}")
            yield Server(process, int(line.rstrip("/\n").rpartition(":")[2]), log)
        finally:
            if process.poll() is None:
                process.kill()
