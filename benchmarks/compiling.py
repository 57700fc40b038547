"""Full fine-tuning by compiled steps against the usual ones: photos a second, and the seconds before the first.

    python -m benchmarks compiling
    python -m benchmarks.compiling --work DIR --sizes 160 --rounds 3    # a working folder with a dataset, kept

As `benchmarks.finetuning`, in whose processes the turns are taken. In the first round nothing is found that was
compiled before; in the others all is, as in a second training on a machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.finetuning import BATCH, LAKE, N_PHOTOS, make_dataset
from benchmarks.measuring import run

_PRECISIONS = ("fp32", "bf16")


def main() -> None:
    """The usual sizes."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), (160, 224), 3)


def measure(work: Path, sizes: Sequence[int], n_rounds: int) -> None:
    """A table for each size."""
    if not make_dataset(work):
        return
    for size_px in sizes:
        results.write(
            f"Fine-tuning: compiled steps against the usual ones, {size_px} px",
            "python -m benchmarks compiling",
            [
                "how",
                "photos a second",
                "ratio",
                "CPU ms a photo",
                "ratio by CPU",
                "first step, s",
                "first step again, s",
            ],
            _rows(work, size_px, n_rounds),
            f"{N_PHOTOS} photos of {LAKE} a turn, batches of {BATCH}, {n_rounds} rounds of turns; medians. Ratios are\n"
            "of one round, to the usual steps in the same precision. Loading and augmentation are included, the\n"
            "first step is not. Again: what was compiled lies on the disk.",
        )


def _rows(work: Path, size_px: int, n_rounds: int) -> list[list[object]]:
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as cache:
        for precision in _PRECISIONS:
            taken: dict[bool, list[dict[str, float]]] = {False: [], True: []}
            for _ in range(n_rounds):
                for compiled, turns in taken.items():
                    turns.append(_turn(work, size_px, precision, compiled, cache))
            rows += [
                [f"{'compiled' if compiled else 'usual'}, {precision}", *_figures(turns, taken[False])]
                for compiled, turns in taken.items()
            ]
    return rows


def _figures(turns: Sequence[dict[str, float]], usual: Sequence[dict[str, float]]) -> list[str]:
    wall_s, cpu_s = (statistics.median(turn[which] for turn in turns) for which in ("wall_s", "cpu_s"))
    ratios = [
        statistics.median(one[which] / other[which] for one, other in zip(usual, turns, strict=True))
        for which in ("wall_s", "cpu_s")
    ]
    first_s, *again_s = (turn["first_s"] for turn in turns)
    of_first = [f"{first_s:.1f}", f"{statistics.median(again_s):.1f}" if again_s else ""]
    return [
        f"{N_PHOTOS / wall_s:.1f}",
        f"{ratios[0]:.2f}",
        f"{cpu_s / N_PHOTOS * 1e3:.1f}",
        f"{ratios[1]:.2f}",
        *of_first,
    ]


def _turn(work: Path, size_px: int, precision: str, compiled: bool, cache: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.finetuning", "--work", str(work), "--sizes", str(size_px)]
    command += ["--turn", precision, *(["--compiled"] if compiled else [])]
    said = run(command, env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache})
    turn: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return turn


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[160, 224])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    measure(given.work, given.sizes, given.rounds)
