"""`fledged predict` on thousands of photos, against Pillow and onnxruntime alone on the same cores, and its memory.

python -m benchmarks predict
python -m benchmarks.predict --bundle FOLDER --many 20000     # a bundle that is there
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.measuring import MEMORY_METHOD, Measured, fledged, run
from fledged.product_files import open_product
from fledged.products import Bundle
from fledged.workspace import Workspace

N_REAL, N_MANY = 2000, 20_000
_ROUNDS = 3


def main() -> None:
    """Speed on real photos, memory on many."""
    with tempfile.TemporaryDirectory() as work:
        build = [sys.executable, "-m", "fledged", "build", str(DATA / "ants_vs_bees"), "--work", work]
        subprocess.run([*build, "--weights", str(WEIGHTS)], check=True, capture_output=True)
        measure(Workspace(work).load(Bundle).folder, N_REAL, N_MANY)


def measure(bundle: Path, n_real: int, n_many: int) -> None:
    """Write the table; `n_real` photos tell the speed, and `n_many` of 96 px the memory."""
    photos = sorted((DATA / "birds_vs_drones").rglob("*.jpg"))[:n_real]
    if not photos:
        sys.exit(f"error: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
    cores = len(os.sched_getaffinity(0))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        listed = folder / "photos.txt"
        listed.write_text("\n".join(map(str, photos)))
        plain, ours = [], []
        for _ in range(_ROUNDS):  # in turns, so that both see the same machine
            plain.append(run([sys.executable, "-m", "benchmarks.predict_floor", str(bundle), str(listed)]))
            ours.append(_predict(bundle, listed, folder / "answers.csv"))
        floor_s, floor_cpu_s = _middle(plain)
        for name, runs in (
            (f"Pillow + onnxruntime in {cores} processes (the floor)", plain),
            ("fledged predict", ours),
        ):
            seconds, cpu_s = _middle(runs)
            speed = [f"{seconds:.1f}", f"{len(photos) / seconds:.0f}", f"{floor_s / seconds:.2f}"]
            cost = [f"{cpu_s:.1f}", f"{floor_cpu_s / cpu_s:.2f}", f"{max(each.peak_mib for each in runs):.0f}"]
            rows.append([name, f"{len(photos):,}", *speed, *cost])
        small = folder / "small.jpg"
        Image.open(photos[0]).convert("RGB").resize((96, 96)).save(small)
        for n in (n_many // 10, n_many):
            listed.write_text(f"{small}\n" * n)
            took = _predict(bundle, listed, folder / "answers.parquet")
            speed = [f"{took.seconds:.1f}", f"{n / took.seconds:.0f}", ""]
            rows.append(
                ["fledged predict, small photos", f"{n:,}", *speed, f"{took.cpu_s:.1f}", "", f"{took.peak_mib:.0f}"]
            )
    backbone = open_product(Bundle, bundle).backbone.name
    results.write(
        "Predict: thousands of photos",
        f"python -m benchmarks.predict --bundle BUNDLE --real {n_real} --many {n_many}",
        ["what", "photos", "s", "photos/s", "speed, floor = 1", "CPU s", "CPU, floor = 1", "MiB"],
        rows,
        f"Photos of birds_vs_drones, {backbone}, answers written as CSV; the small ones are one of 96 px, repeated,\n"
        f"written as Parquet. Fresh processes, start and imports included, in turns, median of {_ROUNDS}. The floor\n"
        f"decodes at a reduced size, crops and resizes with Pillow, runs batches of 4 and keeps no answer.\n"
        "Other work shared the cores meanwhile, which the seconds show and the CPU seconds hardly do.\n"
        f"{MEMORY_METHOD}",
    )


def _predict(bundle: Path, listed: Path, to: Path) -> Measured:
    return run(fledged("predict", "--bundle", str(bundle), "--from", str(listed), "--to", str(to)))


def _middle(runs: list[Measured]) -> tuple[float, float]:
    return statistics.median(each.seconds for each in runs), statistics.median(each.cpu_s for each in runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="the folder of a bundle")
    parser.add_argument("--real", type=int, default=N_REAL, help="photos of the measurement of speed")
    parser.add_argument("--many", type=int, default=N_MANY, help="photos of the measurement of memory")
    given = parser.parse_args()
    measure(given.bundle, given.real, given.many) if given.bundle else main()
