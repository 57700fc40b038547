"""Ray against this machine's own processes: `python -m benchmarks ray [PHOTOS]`.

The same functions on the same photos through `engine.map_photos` and `map_batches`, an eighth of the photos (half of
them, where one worker is compared with two) by one, then by the other, so that both see the same load of the machine.
Results must be equal. Start-up is measured apart, as Ray lives on from step to step.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import results
from benchmarks.rescan import _draw
from fledged.copies import Shrunk, shrink_file
from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of
from fledged.engine import LOCAL, Engine, engine_of, map_photos
from fledged.networks import backbones
from fledged.networks.weights import locate
from fledged.products import Preprocess
from fledged.progress import silent
from fledged.scanning.probe import Probe, probe
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace

N_PHOTOS = 20_000
_SIZE_PX = (240, 180)
_N_FEATURES = 12  # times fewer photos go through the network
_PARTS, _PARTS_SCALING = 8, 2

Work = Callable[[Engine, slice], object]


def main(n_photos: int = N_PHOTOS) -> None:
    """Measure and write the tables."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        _draw(lake, n_photos, _SIZE_PX)
        paths = sorted(lake.rglob("*.jpg"))
        start_s = time.monotonic()
        ray = engine_of({"name": "ray"})
        list(map_photos(abs, [1], abs, ray, "start", silent))
        started_s = time.monotonic() - start_s
        works = _works(paths, folder)
        overhead = [_compared(name, n, work, (LOCAL, ray), _PARTS) for name, (n, work) in works.items()]
        one, two = replace(ray, workers=1), replace(ray, workers=2)
        scaling = [_compared(name, n, work, (one, two), _PARTS_SCALING) for name, (n, work) in works.items()]
        import ray as module

        module.shutdown()
        recovery = _recovery(lake)
    title = f"Ray: {n_photos:,} photos"
    load = f"Load of the machine, mean of the last 15 minutes: {os.getloadavg()[2]:.1f}."
    notes = f"{load} Start of Ray, apart: {started_s:.1f} s."
    results.write(
        f"{title}, against processes and threads of this machine",
        _command(n_photos),
        ["work", "photos", "local s", "Ray s", "Ray / local"],
        [[*row[:2], f"{row[2]:.1f}", f"{row[3]:.1f}", f"{row[3] / row[2]:.2f}"] for row in overhead],
        f"{notes} Drawn {_SIZE_PX[0]}x{_SIZE_PX[1]} JPEGs, in {_PARTS} parts by turns; equal results.",
    )
    results.write(
        f"{title}, one worker and two",
        _command(n_photos),
        ["work", "photos", "1 worker s", "2 workers s", "speed-up"],
        [[*row[:2], f"{row[2]:.1f}", f"{row[3]:.1f}", f"{row[2] / row[3]:.2f}"] for row in scaling],
        notes,
    )
    results.write(
        f"{title}, a machine of four is killed",
        _command(n_photos),
        ["what", "s"],
        [[name, f"{seconds:.1f}"] for name, seconds in recovery.items()],
        "Four machines of one core that are processes on this one, which has two; one is killed after a third of the "
        "photos.\n" + notes,
    )


def _command(n_photos: int) -> str:
    return f"python -m benchmarks.ray {n_photos}" if n_photos != N_PHOTOS else "python -m benchmarks ray"


def _works(paths: list[Path], folder: str) -> dict[str, tuple[int, Work]]:
    """What is measured: how many photos, and the work."""
    files = [str(path) for path in paths]
    hashed = [(file, hashlib.sha256(Path(file).read_bytes()).hexdigest()) for file in files]
    shrink = functools.partial(shrink_file, shorter_side_px=128, jpeg_quality=92)
    some = pl.DataFrame(
        {
            "sha256": [sha256 for _, sha256 in hashed[::_N_FEATURES]],
            # Distinct contents, so that each is computed: bytes after the end of a JPEG are not read.
            "jpeg": [Path(file).read_bytes() + str(n).encode() for n, (file, _) in enumerate(hashed[::_N_FEATURES])],
        }
    )
    backbone = backbones.build(locate(TrainConfig(backbone="efficientnet_lite0")))
    how = Preprocess(size_px=224, resize="squash", mean=backbone.mean, std=backbone.std)
    embedding = embedding_of(backbone.name, backbone.module, how, Workspace(folder))

    def features(on: Engine, part: slice) -> bytes:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            found = features_of(some[part], replace(embedding, on=on), 0, Workspace(work), silent)
        return np.ascontiguousarray(found).tobytes()

    probed = functools.partial(probe, max_pixels=89_000_000, max_bytes=100 * 2**20)
    return {
        "probe": (
            len(files),
            lambda on, part: list(map_photos(probed, files[part], lambda _: Probe(), on, "probe", silent)),
        ),
        "shrink": (
            len(files),
            lambda on, part: list(map_photos(shrink, hashed[part], lambda _: Shrunk(None, ""), on, "shrink", silent)),
        ),
        "features": (some.height, features),
    }


def _compared(
    name: str, n: int, work: Work, engines: tuple[Engine, Engine], n_parts: int
) -> tuple[str, str, float, float]:
    seconds = [0.0, 0.0]
    for on in engines:
        work(on, slice(0, 64))  # their processes have begun, and read what they need
    edges = [n * part // n_parts for part in range(n_parts + 1)]
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        made: list[object] = [None, None]
        for place in (0, 1) if number % 2 == 0 else (1, 0):
            start_s = time.monotonic()
            made[place] = work(engines[place], slice(start, end))
            seconds[place] += time.monotonic() - start_s
        assert made[0] == made[1]
    print(f"{name}: {seconds}", file=sys.stderr, flush=True)
    return name, f"{n:,}", seconds[0], seconds[1]


def _recovery(lake: Path) -> dict[str, float]:
    """In a process of its own: a program is connected to one cluster at a time."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ray", "--recovery", str(lake)], check=True, capture_output=True, text=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _kill_and_tell(lake: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(4):
        cluster.add_node(num_cpus=1)
    on = engine_of({"name": "ray", "address": cluster.address})
    files = [str(path) for path in sorted(lake.rglob("*.jpg"))[:4000]]
    list(map_photos(abs, list(range(1000)), abs, on, "warm up", silent))
    stamps: list[float] = []
    killed_s = [0.0]

    def report(step: str, done: int, total: int) -> None:
        stamps.append(time.monotonic())
        if step == "killed" and not killed_s[0] and done > total / 3:
            machine: Any = next(iter(cluster.worker_nodes))
            cluster.remove_node(machine, allow_graceful=False)
            stamps.append(time.monotonic())
            killed_s[0] = stamps[-1]

    work = functools.partial(probe, max_pixels=89_000_000, max_bytes=100 * 2**20)
    found, seconds = [], []
    for step in ("whole", "killed"):
        start_s = time.monotonic()
        found.append(list(map_photos(work, files, lambda _: Probe(), on, step, report)))
        seconds.append(time.monotonic() - start_s)
    assert found[0] == found[1]
    after = [stamp for stamp in stamps if stamp >= killed_s[0]]
    longest_s = max(later - earlier for earlier, later in itertools.pairwise(after))
    what = f"{len(files):,} photos probed"
    told = {f"{what}, none killed": seconds[0], f"{what}, one killed": seconds[1]}
    print(json.dumps(told | {"longest wait for a next result after it": longest_s}))
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--recovery"]:
        _kill_and_tell(Path(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:2]))
