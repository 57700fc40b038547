"""From a raw folder to a verified bundle: wall time in a fresh process, against decoding and embedding each photo once.

The floor is what nobody can go below with this backbone: read and decode every photo once (Pillow, as many processes as
cores), and put it through the backbone once (onnxruntime, as many threads as cores).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime

from benchmarks import results
from fledged import images
from fledged.products import Report, Run, Snapshot
from fledged.workspace import Workspace

DATA = Path(os.environ.get("FLEDGED_REAL_DATA", "../shared/data"))
WEIGHTS = Path(os.environ.get("FLEDGED_WEIGHTS", "../shared/weights/mobilenet_v2.safetensors"))
SEEDS = (42, 1, 2, 3, 4)

SUBJECTS: tuple[tuple[str, str, list[str]], ...] = (
    ("birds_vs_drones", "mobilenet_v2", ["--weights", str(WEIGHTS), "--group-by", r"^(.+)\.rf\."]),
    ("ants_vs_bees", "mobilenet_v2", ["--weights", str(WEIGHTS)]),
    ("ants_vs_bees", "efficientnet_lite0", ["--backbone", "efficientnet_lite0"]),
)


def main() -> None:
    """Measure all subjects and write the table."""
    if not DATA.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    rows = [_measure(lake, backbone, flags) for lake, backbone, flags in SUBJECTS]
    results.write(
        "Build: from a raw folder to a verified bundle",
        "python -m benchmarks build",
        ["photos", "backbone", "n", "wall s", "floor s", "ratio", "test accuracy (95% interval, n)", "other seeds"],
        rows,
        "Wall time of `fledged build` in a fresh process and an empty working folder, interpreter start and imports\n"
        "included. Floor: every photo decoded once and put through the backbone once, on all cores. Other seeds: test\n"
        "accuracy with another split and another head each. mobilenet_v2 is the test MobileNetV2, whose last blocks\n"
        "were fine-tuned on dogs, not the published ImageNet weights. birds_vs_drones is train and valid pooled,\n"
        "grouped by source photo and by likeness.",
    )


def _measure(lake: str, backbone: str, flags: list[str]) -> list[object]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        command = [sys.executable, "-m", "fledged", "build", str(DATA / lake), "--work", str(work), "--json", *flags]
        start_s = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, cwd=Path.cwd())
        wall_s = time.monotonic() - start_s
        workspace = Workspace(work)
        accuracy = workspace.load(Report).accuracy
        snapshot = workspace.load(Snapshot)
        floor_s = _floor_s(workspace, snapshot)
        others = []
        for seed in SEEDS[1:]:
            done = subprocess.run([*command, "--seed", str(seed)], check=True, capture_output=True, text=True)
            others.append(json.loads(done.stdout)["accuracy"]["value"])
    interval = f"{accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f}, n = {accuracy.n})"
    spread = f"{min(others):.3f} to {max(others):.3f}, mean {statistics.mean(others):.3f} ({len(others)} seeds)"
    ratio = f"{wall_s / floor_s:.1f}"
    return [lake, backbone, snapshot.n_photos, f"{wall_s:.1f}", f"{floor_s:.1f}", ratio, interval, spread]


def _floor_s(workspace: Workspace, snapshot: Snapshot) -> float:
    how = workspace.load(Run).preprocess
    (model,) = workspace.cache("onnx").glob("*.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    paths = [Path(snapshot.lake) / path for path in snapshot.photos()["path"]]

    def embed(path: Path) -> None:
        session.run(None, {"photos": images.model_input(path.read_bytes(), how)[None]})

    start_s = time.monotonic()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(embed, paths))
    return time.monotonic() - start_s
