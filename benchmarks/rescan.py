"""A second scan of a lake that has not changed, against the first: `python -m benchmarks.rescan [FILES]`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks import results
from demo.drawing import CLASSES, draw_photo
from fledged import images
from fledged.progress import silent
from fledged.scanning.changes import since
from fledged.scanning.scan import scan

Result = TypeVar("Result")

N_FILES = 20_000
_SIZE_PX, _SIZE_OF_MANY_PX = (240, 180), (48, 36)  # more files are small: the rescan opens none of them
_N_ORIGINALS = 10  # of each class


def main(n_files: int = N_FILES) -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        lake, work = Path(folder) / "lake", Path(folder) / "work"
        size_px = _SIZE_PX if n_files <= N_FILES else _SIZE_OF_MANY_PX
        _draw(lake, n_files, size_px)
        first, snapshot = _timed(lambda: scan(lake, work=work, report=silent))
        second, again = _timed(lambda: scan(lake, work=work, report=silent))
        assert again == snapshot
        check, _ = _timed(lambda: since(snapshot))
    rows = [
        [what, f"{wall_s:.1f}", f"{cpu_s:.1f}", f"{n_files / wall_s:,.0f}"]
        for what, (wall_s, cpu_s) in (("first scan", first), ("second scan", second), ("check of later steps", check))
    ]
    results.write(
        f"Scan: a lake of {n_files:,} files",
        f"python -m benchmarks.rescan {n_files}" if n_files != N_FILES else "python -m benchmarks rescan",
        ["what", "s", "CPU s of the main process", "files/s"],
        rows,
        f"Drawn {size_px[0]}x{size_px[1]} JPEGs, hard links to {_N_ORIGINALS * len(CLASSES)}. The first scan also "
        "writes the clusters and the overview page;\nthe second opens no photo; the check compares sizes and times.",
    )


def _timed(function: Callable[[], Result]) -> tuple[tuple[float, float], Result]:
    """Wall and processor seconds, and what came out."""
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    result = function()
    return (time.monotonic() - start_s, time.process_time() - start_cpu_s), result


def _draw(lake: Path, n_files: int, size_px: tuple[int, int]) -> None:
    for label in CLASSES:
        (lake / label).mkdir(parents=True)
        originals = []
        for seed in range(_N_ORIGINALS):
            originals.append(lake / label / f"{seed:06d}.jpg")
            originals[-1].write_bytes(images.to_jpeg(draw_photo(label, seed, size_px), 90))
        for index in range(_N_ORIGINALS, n_files // len(CLASSES)):
            os.link(originals[index % _N_ORIGINALS], lake / label / f"{index:06d}.jpg")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
