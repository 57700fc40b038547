"""One photo over HTTP, batch 1, against Pillow's decode and one onnxruntime run of the same photo in-process."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import onnxruntime

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from fledged import images
from fledged.products import Bundle
from fledged.workspace import Workspace

N_PHOTOS, ROUNDS = 40, 5


def main() -> None:
    """Measure in turns, photo by photo, and write the table."""
    lake = DATA / "ants_vs_bees"
    if not lake.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    with tempfile.TemporaryDirectory() as work:
        build = [sys.executable, "-m", "fledged", "build", str(lake), "--work", work, "--weights", str(WEIGHTS)]
        subprocess.run(build, check=True, capture_output=True)
        serve = [sys.executable, "-m", "fledged", "serve", "--work", work, "--port", "0"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1].rstrip("/")
            times = _measure(Workspace(work).load(Bundle), url, sorted((lake / "val").rglob("*.jpg"))[:N_PHOTOS])
            server.send_signal(signal.SIGTERM)
    floor = statistics.median(times["in-process decode + onnxruntime (the floor)"])
    rows = [
        [name, f"{statistics.median(t) * 1000:.1f}", f"{_p95(t) * 1000:.1f}", f"{statistics.median(t) / floor:.2f}"]
        for name, t in times.items()
    ]
    results.write(
        "Serving: one photo at a time",
        "python -m benchmarks http_latency",
        ["what", "p50 ms", "p95 ms", "p50 ratio"],
        rows,
        f"{N_PHOTOS} photos of ants_vs_bees, {ROUNDS} rounds, mobilenet_v2 at 224 px, the three ways in turns for each "
        "photo; the server\nin a process of its own on the same cores, the client keeping its connection.",
    )


def _measure(bundle: Bundle, url: str, photos: list[Path]) -> dict[str, list[float]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(
        str(bundle.folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    with httpx.Client(base_url=url, timeout=60) as client:

        def in_process(data: bytes) -> None:
            session.run(None, {"photos": images.model_input(data, bundle.preprocess)[None]})

        def raw(data: bytes) -> None:
            client.post("/classify", content=data).raise_for_status()

        def multipart(data: bytes) -> None:
            client.post("/classify", files={"photo": ("photo.jpg", data)}).raise_for_status()

        ways = {
            "in-process decode + onnxruntime (the floor)": in_process,
            "HTTP, raw body": raw,
            "HTTP, multipart": multipart,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for round_ in range(ROUNDS + 1):
            for photo in photos:
                data = photo.read_bytes()
                for name, way in ways.items():
                    start_s = time.perf_counter()
                    way(data)
                    if round_:  # the first round warms up
                        times[name].append(time.perf_counter() - start_s)
                    time.sleep(0.03)  # onnxruntime's idle threads stop spinning before the next way begins
    return times


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
