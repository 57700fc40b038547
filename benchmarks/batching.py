"""Photos that arrive together: the model alone, in batches or one by one. What a server leaves of it: `servers`.

python -m benchmarks.batching                   # builds a bundle of ants_vs_bees first
python -m benchmarks.batching --bundle FOLDER
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from fledged import images
from fledged.product_files import open_product
from fledged.products import Bundle
from fledged.workspace import Workspace

N_PHOTOS, ROUNDS = 64, 4


def main(given: Path | None = None) -> None:
    """Build a bundle where none is given, and write the table."""
    lake = DATA / "ants_vs_bees"
    if not lake.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    photos = [path.read_bytes() for path in sorted((lake / "val").rglob("*.jpg"))[:N_PHOTOS]]
    with tempfile.TemporaryDirectory() as work:
        if given is None:
            build = [sys.executable, "-m", "fledged", "build", str(lake), "--work", work, "--weights", str(WEIGHTS)]
            subprocess.run(build, check=True, capture_output=True)
        bundle = open_product(Bundle, given) if given else Workspace(work).load(Bundle)
        measure_inference(bundle, photos)


def measure_inference(bundle: Bundle, photos: list[bytes]) -> None:
    """The model alone: batches on all cores against single photos, one a core."""
    cores = len(os.sched_getaffinity(0))
    squares = np.stack([images.model_input(photo, bundle.preprocess) for photo in photos])
    whole, single = _session(bundle, cores), _session(bundle, 1)
    ways: dict[str, Callable[[], object]] = {
        f"one by one, {cores} at a time, a thread each": lambda: _in_threads(
            lambda square: single.run(None, {"photos": square[None]}), list(squares), cores
        ),
        f"one by one, each on {cores} threads": lambda: [whole.run(None, {"photos": s[None]}) for s in squares],
        f"one by one, {cores} at a time, each on {cores} threads": lambda: _in_threads(
            lambda square: whole.run(None, {"photos": square[None]}), list(squares), cores
        ),
    }
    for size in (2, 4, 8, 16, 32):
        ways[f"batches of {size} on {cores} threads"] = (
            lambda size=size: [  # type: ignore[misc]
                whole.run(None, {"photos": squares[at : at + size]}) for at in range(0, len(squares), size)
            ]
        )
    rates = _in_turns(ways, len(photos))
    floor = rates[next(iter(ways))]
    rows = [[name, f"{rate:.0f}", f"{rate / floor:.2f}"] for name, rate in rates.items()]
    results.write(
        "Serving: batches against single photos, the model alone",
        "python -m benchmarks.batching",
        ["what", "photos/s", "ratio"],
        rows,
        f"{len(photos)} photos of ants_vs_bees, already decoded, {bundle.backbone.name} at "
        f"{bundle.preprocess.size_px} px, {ROUNDS} rounds in turns,\nthe best round of each: other jobs ran on it.",
    )


def _in_threads(work: Callable[..., object], items: list[object] | list[bytes], n: int) -> None:
    with ThreadPoolExecutor(n) as pool:
        list(pool.map(work, items))


def _in_turns(ways: dict[str, Callable[[], object]], n_photos: int) -> dict[str, float]:
    """Photos a second, the best round of each."""
    best = dict.fromkeys(ways, 0.0)
    for round_ in range(ROUNDS + 1):
        for name, way in ways.items():
            start_s = time.perf_counter()
            way()
            if round_:  # the first one warms up
                best[name] = max(best[name], n_photos / (time.perf_counter() - start_s))
            time.sleep(0.1)
    return best


def _session(bundle: Bundle, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(bundle.folder / "model.onnx"), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a bundle's folder")
    main(parser.parse_args().bundle)
