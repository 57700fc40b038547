"""Scan against the plain decode floor, and scan with overview and review of 20,000 photos.

python -m benchmarks throughput                 # all of it
python -m benchmarks.throughput --many 1000     # fewer photos in the second part
python -m benchmarks.throughput --many 20000 --keep DIR --only many
python -m benchmarks.throughput --lake DIR      # a lake that is there against its floor, and nothing else
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import results
from benchmarks.build import DATA
from benchmarks.measuring import MEMORY_METHOD, fledged, no_page, run, weights_flags
from benchmarks.mosaics import mosaic
from benchmarks.planting.sources import Source, drawn_sources, real_sources
from fledged.products import Review, Snapshot
from fledged.workspace import Workspace

N_MANY = 20_000
_ROUNDS = 3
_SEED = 20
_BLOCK = 250  # photos that a process makes at once


def main() -> None:
    """Both parts."""
    measure_floor()
    measure_many(N_MANY, None)


def measure_floor() -> None:
    """The scan's share of the plain decode's speed, on small photos and on a phone's."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, n, size_px in (("400 px", 8000, 400), ("1000 px", 4000, 1000), ("12 megapixels", 256, 4000)):
            lake = Path(folder) / name.replace(" ", "-")
            make_many(lake, n, size_px)
            rows.append(_against_floor(name, lake))
    _write_floor("Scan: against the plain decode", "python -m benchmarks throughput", rows, " Mosaics of real photos.")


def measure_lake(lake: Path) -> None:
    """The same of a lake that is there."""
    row = _against_floor(lake.name, lake)
    told = "\nWhat is no photo is passed over by the floor."
    _write_floor(
        f"Scan: against the plain decode, {lake.name}", "python -m benchmarks.throughput --lake DIR", [row], told
    )


def _against_floor(name: str, lake: Path) -> list[object]:
    sizes = [path.stat().st_size for path in lake.rglob("*") if path.is_file()]
    floors, scans = [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(_ROUNDS):  # in turns, so that both see the same machine
            floor = [sys.executable, "-m", "benchmarks.floor", str(lake), str(len(os.sched_getaffinity(0)))]
            floors.append(run(floor).seconds)
            scans.append(run(fledged("scan", str(lake), "--work", f"{folder}/{turn}")).seconds)
    floor_s, scan_s = statistics.median(floors), statistics.median(scans)
    kib = f"{sum(sizes) / len(sizes) / 1024:.0f}"
    return [name, len(sizes), kib, f"{floor_s:.2f}", f"{scan_s:.2f}", f"{floor_s / scan_s:.2f}"]


def _write_floor(title: str, command: str, rows: list[list[object]], which: str) -> None:
    cores = len(os.sched_getaffinity(0))
    results.write(
        title,
        command,
        ["photos", "n", "KiB each", "floor s", "scan s", "speed of the scan, floor = 1"],
        rows,
        f"Floor: Pillow opens and loads the same files in {cores} processes and does nothing with them. Both in fresh\n"
        f"processes, start and imports included, in turns, median of {_ROUNDS}.{which}",
    )


def measure_many(n: int, keep: Path | None) -> None:
    """Seconds and memory of scan (with its overview) and review."""
    with tempfile.TemporaryDirectory() as folder:
        root = keep or Path(folder)
        lake, work = root / "lake", root / "work"
        if not lake.is_dir():
            make_many(lake, n, 400)
        scan = run(fledged("scan", str(lake), "--work", str(work)))
        review = run(fledged("review", "--work", str(work), *no_page(), *weights_flags("review")))
        found = Workspace(work).load(Review).findings_by_kind
        page = (Workspace(work).load(Snapshot).folder / "overview.html").exists()
    rows = [
        [what, f"{seconds:.1f}", f"{n / seconds:,.0f}", f"{mib:.0f}"]
        for what, seconds, mib in (
            (f"fledged scan, {'with' if page else 'without'} overview", scan.seconds, scan.peak_mib),
            ("fledged review", review.seconds, review.peak_mib),
            ("both", scan.seconds + review.seconds, max(scan.peak_mib, review.peak_mib)),
        )
    ]
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(found.items())) or "none"
    results.write(
        f"Scan and review: {n:,} photos",
        f"python -m benchmarks.throughput --only many --many {n}",
        ["what", "s", "photos/s", "MiB"],
        rows,
        f"JPEGs of 400 px, each a mosaic of crops of four photos, so that no two show one picture. Findings: {kinds}.\n"
        f"{MEMORY_METHOD}",
    )


@dataclass(frozen=True, slots=True)
class _Block:
    lake: Path
    first: int
    n: int
    size_px: int
    sources: tuple[Source, ...]


def make_many(lake: Path, n: int, size_px: int) -> None:
    """`n` different JPEGs in four class folders, in seconds per thousand."""
    folders = sorted(path for path in DATA.glob("*") if path.is_dir())
    sources = [source for folder in folders for source in real_sources(folder, 400, _SEED)]
    sources = sources or list(drawn_sources(120, _SEED))
    rng = np.random.default_rng(_SEED)
    block = min(_BLOCK, max(1, n // 8))
    blocks = [
        _Block(
            lake, first, min(block, n - first), size_px, tuple(sources[i] for i in rng.permutation(len(sources))[:60])
        )
        for first in range(0, n, block)
    ]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_make_block, blocks))


def _make_block(block: _Block) -> None:
    images = [source.image() for source in block.sources]
    for number in range(block.first, block.first + block.n):
        rng = np.random.default_rng([_SEED, number])
        picture = mosaic(images, (block.size_px, block.size_px * 3 // 4), rng)
        folder = block.lake / f"class_{number % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(75, 93)))
        (folder / f"{number:06d}.jpg").write_bytes(buffer.getvalue())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--many", type=int, default=N_MANY, help="photos of the second part")
    parser.add_argument("--keep", type=Path, help="a folder for lake and work; a lake that lies there is used again")
    parser.add_argument("--only", choices=("floor", "many"))
    parser.add_argument("--lake", type=Path)
    given = parser.parse_args()
    if given.lake:
        measure_lake(given.lake)
    elif given.only != "many":
        measure_floor()
    if given.only != "floor" and not given.lake:
        measure_many(given.many, given.keep)
