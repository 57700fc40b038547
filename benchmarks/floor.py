"""The plain decode floor: `python -m benchmarks.floor LAKE WORKERS` reads, opens and loads every photo with Pillow.

As many processes as the scan has, started the same way (loky, chunks of 16), and nothing done with the pixels.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from loky import get_reusable_executor
from PIL import Image

_CHUNK = 16


def load(paths: Sequence[str]) -> int:
    """Decode the photos, without what is none; the number of pixels, so that nothing can be left out."""
    pixels = 0
    for path in paths:
        with contextlib.suppress(OSError, SyntaxError), Image.open(io.BytesIO(Path(path).read_bytes())) as image:
            image.load()
            pixels += image.width * image.height
    return pixels


def main(lake: Path, workers: int) -> None:
    """Decode the lake once."""
    paths = sorted(str(path) for path in lake.rglob("*") if path.is_file())
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    print(sum(get_reusable_executor(max_workers=workers).map(load, chunks)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
