"""Evaluating the test split of birds_vs_drones from original files, against decoding and answering the same photos.

`python -m benchmarks.evaluate [WORK]`: in a copy of a working folder that has a run of it, or else one is made first.
All ways run in one process, in turns, after a round that warms up; what training left in the caches is there.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from fledged import images
from fledged.engine import n_workers
from fledged.evaluating.evaluate import evaluate
from fledged.measuring import photos as labelled
from fledged.measuring.photos import Photo
from fledged.networks.inference import run_probabilities
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.reading import read
from fledged.workspace import Workspace

_ROUNDS = 3
_BATCH = 4

Took = tuple[float, float]  # seconds, and processor seconds of all threads


def main() -> None:
    """Measure in turns and write the table."""
    lake = DATA / "birds_vs_drones"
    if not lake.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir():
            shutil.copytree(sys.argv[1], work)
        else:
            command = [sys.executable, "-m", "fledged", "build", str(lake), "--work", str(work)]
            subprocess.run([*command, *(["--weights", str(WEIGHTS)] if WEIGHTS.is_file() else [])], check=True)
        _measure(work)


def _measure(work: Path) -> None:
    workspace = Workspace(work)
    run = workspace.load(Run)
    chosen = labelled.of_test_split(workspace.load(Dataset, run.dataset_id), run.classes)

    def floor() -> None:
        _decode_and_answer(run, chosen)

    def evaluated(learning_curve: bool = True) -> None:
        shutil.rmtree(work / "reports", ignore_errors=True)
        evaluate(run, work=work, report=silent, learning_curve=learning_curve)

    ways: dict[str, Callable[[], None]] = {
        "decode + inference (the floor)": floor,
        "evaluate": evaluated,
        "evaluate, no learning curve": lambda: evaluated(learning_curve=False),
    }
    took: dict[str, list[Took]] = {name: [] for name in ways}
    for round_ in range(_ROUNDS + 1):
        for name, way in ways.items():
            start_s, start_cpu_s = time.perf_counter(), time.process_time()
            way()
            if round_:  # the first round warms up
                took[name].append((time.perf_counter() - start_s, time.process_time() - start_cpu_s))
    floors = took["decode + inference (the floor)"]
    rows = [
        [
            name,
            f"{statistics.median(s for s, _ in times):.2f}",
            f"{statistics.median(cpu for _, cpu in times):.2f}",
            f"{statistics.median(s / of for (s, _), (of, _) in zip(times, floors, strict=True)):.2f}",
            f"{statistics.median(cpu / of for (_, cpu), (_, of) in zip(times, floors, strict=True)):.2f}",
        ]
        for name, times in took.items()
    ]
    results.write(
        "Evaluate: against decoding and answering",
        "python -m benchmarks evaluate",
        ["what", "s", "CPU s", "s, floor = 1", "CPU s, floor = 1"],
        rows,
        f"{len(chosen)} test photos of birds_vs_drones, {run.backbone.name} at {run.preprocess.size_px} px, batches of "
        f"{_BATCH}, all loading the model,\nin turns in one process, median of {_ROUNDS} rounds, ratios within a "
        "round. The features that training cached are there.",
    )


def _decode_and_answer(run: Run, chosen: list[Photo]) -> None:
    """As fast as the same pixel path and network go, keeping nothing."""
    probabilities = run_probabilities(run)
    with ThreadPoolExecutor(n_workers(0)) as pool:
        pictures = pool.map(lambda photo: images.model_input(read(photo.file), run.preprocess), chosen)
        while batch := list(itertools.islice(pictures, _BATCH)):
            probabilities(np.stack(batch))


if __name__ == "__main__":
    main()
