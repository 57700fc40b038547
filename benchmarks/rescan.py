"""A second scan of a lake that has not changed, against the first."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks import results
from demo.drawing import CLASSES, draw_photo
from fledged import images
from fledged.progress import silent
from fledged.scanning.scan import scan

N_FILES = 20_000


def main() -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        _draw(lake)
        seconds = []
        for _ in range(2):
            start_s = time.monotonic()
            scan(lake, work=Path(folder) / "work", report=silent)
            seconds.append(time.monotonic() - start_s)
    rows = [[name, f"{s:.1f}", f"{N_FILES / s:,.0f}"] for name, s in zip(("first", "second"), seconds, strict=True)]
    results.write(
        "Scan: a lake of 20,000 files",
        "python -m benchmarks rescan",
        ["scan", "s", "files/s"],
        rows,
        "Drawn 240x180 JPEGs, copies of 40. The second scan opens no photo.",
    )


def _draw(lake: Path) -> None:
    for label in CLASSES:
        (lake / label).mkdir(parents=True)
        originals = [images.to_jpeg(draw_photo(label, seed, (240, 180)), 90) for seed in range(10)]
        for index in range(N_FILES // len(CLASSES)):
            path = lake / label / f"{index:05d}.jpg"
            path.write_bytes(originals[index % len(originals)])
