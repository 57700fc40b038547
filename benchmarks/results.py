"""Tables of measurements, each with its command, date and machine, in RESULTS.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fledged.metering import cpu_name

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = """# Results

Each table was measured by the command below its title; `make bench` runs the quick ones. Ratios are taken within one
run, against the floor or the peer that the table names. Photos and weights are not part of the repository:
`FLEDGED_REAL_DATA` and `FLEDGED_WEIGHTS` name them.
"""


def write(title: str, command: str, header: Sequence[str], rows: Sequence[Sequence[object]], notes: str = "") -> None:
    """Put a table into RESULTS.md in place of the earlier one with its title, and print it."""
    lines = [
        f"## {title}\n",
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {_machine()}\n",
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]
    section = "\n".join(lines) + (f"\n\n{notes}\n" if notes else "\n")
    print(section)
    text = RESULTS.read_text() if RESULTS.exists() else _HEAD
    sections = {re.match(r"## (.+)", part).group(1): part for part in re.split(r"(?m)^(?=## )", text)[1:]}  # type: ignore[union-attr]
    sections[title] = section
    RESULTS.write_text(_HEAD + "\n" + "\n".join(part.strip() + "\n" for _, part in sorted(sections.items())))


def interval(differences_N: npt.NDArray[np.float64]) -> tuple[float, float]:
    """That of their mean, 95%, by 2,000 bootstrap samples."""
    samples = np.random.default_rng(0).choice(differences_N, (2000, len(differences_N))).mean(axis=1)
    low, high = np.quantile(samples, (0.025, 0.975)).tolist()
    return low, high


def difference(differences_N: npt.NDArray[np.float64]) -> str:
    """Their mean with its interval."""
    low, high = interval(differences_N)
    return f"{differences_N.mean():.3f} ({low:.3f} to {high:.3f})"


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    flags = Path("/proc/cpuinfo").read_text()
    widest = next((name for name in ("amx_bf16", "avx512_vnni", "avx512f", "avx2") if name in flags), "no AVX2")
    return f"{cores} cores of {cpu_name()} ({widest}), {memory_gib:.0f} GiB, Python {platform.python_version()}"
