"""`fledged train --time`: how much of the time that it is given it takes, and what it makes of it.

    python -m benchmarks in_time
    python -m benchmarks.in_time --lake ants_vs_bees --seconds 60 120

Each training begins with the review and the dataset of the lake and nothing else: with the features of one view, which
the review has computed, as after `fledged prepare`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.measuring import fledged, no_page, run, weights_flags
from benchmarks.mislabels import GROUP_BY
from fledged.products import Run
from fledged.workspace import Workspace

LAKES = ("birds_vs_drones", "ants_vs_bees")
SECONDS = (60, 120, 240)


def main() -> None:
    """Both lakes."""
    for lake in LAKES:
        measure(lake, SECONDS)


def measure(lake: str, times_s: Sequence[int]) -> None:
    """Write the table of one lake: a row a time."""
    if not (DATA / lake).is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA / lake} or no weights at {WEIGHTS}")
        return
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        grouped = ["--group-by", GROUP_BY[lake]] if lake in GROUP_BY else []
        run(fledged("scan", str(DATA / lake), "--work", str(prepared)))
        run(fledged("review", "--work", str(prepared), *no_page(), *weights_flags("review")))
        run(fledged("prepare", "--work", str(prepared), *grouped))
        rows = [_row(prepared, Path(folder) / f"{time_s}", time_s) for time_s in times_s]
    results.write(
        f"Training in a given time, {lake}",
        f"python -m benchmarks.in_time --lake {lake} --seconds {' '.join(map(str, times_s))}",
        ["--time", "s", "share", "what was trained", "validation", "why it was over early"],
        rows,
        "MobileNetV2 with the test weights; s is the whole command, whose start the time does not count. Nothing is\n"
        "cached but the features of one view, by the review.",
    )


def _row(prepared: Path, work: Path, time_s: int) -> list[object]:
    shutil.copytree(prepared, work)
    took = run(fledged("train", "--time", f"{time_s}s", "--work", str(work), *weights_flags("train")))
    trained = Workspace(work).load(Run)
    shutil.rmtree(work)
    config = trained.settings
    blocks = "all blocks" if config.unfreeze < 0 else f"blocks from the end: {config.unfreeze}"
    what = blocks if trained.mode == "finetune" else "head"
    why = next((line for line in took.stderr.splitlines() if line.startswith("Over after")), "")
    return [
        f"{time_s}s",
        f"{took.seconds:.1f}",
        f"{took.seconds / time_s:.0%}",
        f"{what}, {config.views} views, {trained.n_epochs} epochs, {config.input.size_px} px",
        f"{trained.val_accuracy:.3f}",
        why,
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", choices=LAKES, default=LAKES[0])
    parser.add_argument("--seconds", type=int, nargs="+", default=list(SECONDS))
    given = parser.parse_args()
    measure(given.lake, given.seconds)
