"""Build of a lake as a class of students scrapes it, 22,000 photos and 4.6 GB: seconds of each step, and memory.

python -m benchmarks build_scraped                        # makes the lake first: minutes
python -m benchmarks.build_scraped --lake DIR             # makes it there once, and uses it from then on
python -m benchmarks.build_scraped --photos 1000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.measuring import MEMORY_METHOD, Measured, fledged, run
from benchmarks.scraped import make_real
from benchmarks.scraped_files import N_PHOTOS
from fledged.products import Bundle, Dataset, Product, Report, Review, Run, Snapshot
from fledged.workspace import Workspace

STEPS: dict[str, type[Product]] = {
    "scan": Snapshot,
    "review": Review,
    "prepare": Dataset,
    "train": Run,
    "evaluate": Report,
    "export": Bundle,
}


def main() -> None:
    """All of it."""
    measure(N_PHOTOS, None)


def measure(n_photos: int, lake: Path | None) -> None:
    """Write the table for a lake of this many photos."""
    with tempfile.TemporaryDirectory() as folder:
        lake, work = lake or Path(folder) / "lake", Path(folder) / "work"
        if not lake.is_dir() and not make_real(lake, n_photos):
            print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
            return
        n_bytes = sum(len(path.read_bytes()) for path in lake.rglob("*") if path.is_file())
        begun_s = time.time()
        build = run(fledged("build", str(lake), "--work", str(work), "--weights", str(WEIGHTS)))
        print(build.stderr)
        _write(Workspace(work), build, begun_s, n_bytes)


def _write(workspace: Workspace, build: Measured, begun_s: float, n_bytes: int) -> None:
    snapshot, report = workspace.load(Snapshot), workspace.load(Report)
    n = snapshot.n_photos
    rows, last_s = [], begun_s
    for step, product in STEPS.items():
        # A step ends with its record, so that the steps add up to all of the time.
        done_s = (workspace.load(product).folder / f"{product.kind}.json").stat().st_mtime
        rows.append(_row(step, done_s - last_s, build.seconds, n))
        last_s = done_s
    rows.append(_row("build", build.seconds, build.seconds, n))
    accuracy = report.accuracy
    formats = snapshot.photos(["format"])["format"].drop_nulls().value_counts(sort=True)
    told = ", ".join(f"{form} {count:,}" for form, count in formats.rows())
    found = ", ".join(f"{kind} {count:,}" for kind, count in sorted(workspace.load(Review).findings_by_kind.items()))
    results.write(
        f"Build: a scraped lake of {n:,} photos",
        "python -m benchmarks build_scraped",
        ["step", "s", "share", "photos/s"],
        rows,
        f"{n_bytes / 1e9:.2f} GB: {told}; {snapshot.n_unreadable} files are broken. The mix of classes, sizes and\n"
        "bytes is that of photos scraped from search engines. Wall time of `fledged build` in a fresh process and an\n"
        "empty working folder, every file read once before; a step lasts from one record to the next.\n"
        f"CPU: {build.cpu_s:.0f} s. Peak memory: {build.peak_mib:,.0f} MiB; the command {build.parent_mib:,.0f}, "
        f"the largest process below it {build.child_mib:,.0f}.\nTest accuracy "
        f"{accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f}, n = {accuracy.n}), by the test MobileNetV2, "
        "whose last blocks were fine-tuned\non dogs. The photos are mosaics of crops of real ones, which all splits "
        "share: it tells that something was\nlearnt, and no more. "
        f"Findings: {found}.\n{MEMORY_METHOD}",
    )


def _row(step: str, seconds: float, all_s: float, n: int) -> list[object]:
    return [step, f"{seconds:.1f}", f"{seconds / all_s:.0%}", f"{n / seconds:,.0f}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=N_PHOTOS)
    parser.add_argument("--lake", type=Path, help="a lake that is there, or the folder to make it in")
    given = parser.parse_args()
    measure(given.photos, given.lake)
