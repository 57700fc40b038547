"""What fledged and each of its peers says of one planted lake, and what the answer costs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.build import WEIGHTS
from benchmarks.measuring import Measured, run
from benchmarks.mislabels import ranking
from benchmarks.planted import COPY_KINDS, UNREADABLE_KINDS, judge

PYTHON = os.environ.get("FLEDGED_PEERS", ".venv-peers/bin/python")
_JOBS = Path(__file__).with_name("peer_jobs")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool said of a lake."""

    tool: str
    found: dict[str, Any]  # as the job wrote it
    measured: Measured

    @property
    def cost(self) -> list[object]:
        """Seconds, CPU seconds and MiB, as the last columns of a table."""
        return [f"{self.measured.seconds:.1f}", f"{self.measured.cpu_s:.1f}", f"{self.measured.peak_mib:.0f}"]

    @property
    def error(self) -> str:
        """Its last words where it failed."""
        last = (self.measured.stderr.strip().splitlines() or [""])[-1]
        return f"failed: {last[:150]}" if self.measured.code else ""


def ask(tool: str, job: str, source: Path, out: Path, *arguments: str) -> Answer:
    """What a job of `peer_jobs` says; it writes its answer to `out`."""
    measured = run([PYTHON, str(_JOBS / job), str(source), str(out), *arguments], check=False)
    found = json.loads(out.read_text()) if measured.code == 0 else {}
    return Answer(tool, found, measured)


def of_fledged(root: Path) -> Answer:
    """As a peer's answer, with the seconds of scan and review together and the larger of their memories."""
    outcome = judge(root / "lake", root / "work")
    kinds = outcome.kinds_by_path()
    scan, review = outcome.scan, outcome.review
    seconds, cpu_s = scan.seconds + review.seconds, scan.cpu_s + review.cpu_s
    both = Measured(0, "", "", seconds, cpu_s, max(scan.peak_mib, review.peak_mib))
    found = {
        "pairs": outcome.pairs(*COPY_KINDS),
        "exact": outcome.pairs("exact_duplicate", "label_conflict"),
        "flags": {path: sorted(found) for path, found in kinds.items()},
        "unreadable": [path for path, found in kinds.items() if found & set(UNREADABLE_KINDS)],
        "ranked": ranking(outcome.findings),
    }
    return Answer("fledged scan + review", found, both)


def of_imagededup(root: Path) -> list[Answer]:
    """By its perceptual hash and by its network."""
    lake = root / "lake"
    answers = [ask("imagededup, PHash", "imagededup_job.py", lake, root / "phash.json", "phash")]
    cnn = ask("imagededup, CNN", "imagededup_job.py", lake, root / "cnn.json", "cnn")
    if cnn.measured.code and WEIGHTS.is_file():
        # Its own weights come from a hub, which not every machine reaches.
        name = "imagededup, CNN with the weights of fledged's MobileNetV2"
        cnn = ask(name, "imagededup_job.py", lake, root / "cnn.json", "cnn", str(WEIGHTS))
    return [*answers, cnn]
