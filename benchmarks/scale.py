"""A billion photos: what one core does here, and the hours, dollars and memory that a plan makes of it.

    python -m benchmarks scale

measures the rates on real photos, holds what they foretell against what scan, review and prepare of all of them take,
and leaves them for `python -m benchmarks.planning`, which plans for other lakes and clusters.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import results
from benchmarks.build import DATA
from benchmarks.measuring import run
from benchmarks.planning import HEADER, RATES, Cluster, Rates, in_words, plan, table
from fledged.copies import shrink_file
from fledged.embedding.features import embed, open_graph
from fledged.embedding.graphs import embedding_of
from fledged.networks import backbones
from fledged.networks.weights import locate
from fledged.preparing.prepare import prepare
from fledged.products import Preprocess
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.probe import probe
from fledged.scanning.scan import scan
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace

Photo = TypeVar("Photo")

_SAMPLE = 300  # photos that each rate is measured on
_SEARCHED = (80_000, 320_000)  # drawn photos: what the search for near duplicates costs grows faster than they do
_TRAIN: dict[str, object] = {"backbone": "efficientnet_lite0"}
_SHORTER_SIDE_PX, _JPEG_QUALITY, _SIZE_PX = 256, 92, 224


def measured(lake: Path, folder: Path) -> tuple[Rates, float, float]:
    """The rates, and what they foretell for scan, review's looks and prepare of this lake beside what these took."""
    paths = sorted(path for path in lake.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    sample = random.Random(0).sample(paths, min(_SAMPLE, len(paths)))
    hashed = [(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in sample]
    look = functools.partial(probe, max_pixels=89_000_000, max_bytes=100 * 2**20)
    probe_s = _a_photo(look, [path for path, _ in hashed])
    shrink = functools.partial(shrink_file, shorter_side_px=_SHORTER_SIDE_PX, jpeg_quality=_JPEG_QUALITY)
    shrink_s = _a_photo(shrink, hashed)
    copies = [(made.jpeg, sha256) for made, (_, sha256) in zip(map(shrink, hashed), hashed, strict=True) if made.jpeg]
    backbone = backbones.build(locate(TrainConfig(backbone="efficientnet_lite0")))
    how = Preprocess(size_px=_SIZE_PX, resize="crop", mean=backbone.mean, std=backbone.std)
    ask = open_graph(embedding_of(backbone.name, backbone.module, how, Workspace(folder / "network")))
    features_s = _a_photo(lambda copy: embed(ask, [copy], how, 0, ()), copies)

    work, took = folder / "work", {"start": time.monotonic()}
    photos = scan(lake, work=work, report=silent).photos()
    review(work=work, report=silent, train=_TRAIN)
    prepare(work=work, report=silent)
    took["all"] = time.monotonic()
    prepare(work=work, report=silent, seed=43)
    took["prepare"] = time.monotonic()
    scan(lake, work=work, report=silent)
    took["scan again"] = time.monotonic()
    n = photos.height
    find_s, third = _found_again(work), _third(lake, folder / "third")
    part = scan(third, work=folder / "part", report=silent).n_photos
    review(work=folder / "part", report=silent, train=_TRAIN)
    find_alone_s = (find_s - _found_again(folder / "part")) / (n - part)
    searches = [_searched(size) for size in _SEARCHED]
    (small_s, small_mib), (large_s, large_mib) = searches
    rates = Rates(
        probe_s=probe_s,
        shrink_s=shrink_s,
        features_s=features_s,
        scan_alone_s=(took["scan again"] - took["prepare"]) / n,
        prepare_alone_s=(took["prepare"] - took["all"]) / n,
        find_alone_s=find_alone_s,
        start_s=max(0.0, find_s - n * find_alone_s),
        search_s=large_s / _SEARCHED[1],
        search_at=_SEARCHED[1],
        search_exponent=math.log(large_s / small_s) / math.log(_SEARCHED[1] / _SEARCHED[0]),
        photo_bytes=sum(path.stat().st_size for path in paths) / len(paths),
        copy_bytes=sum(len(jpeg) for jpeg, _ in copies) / len(copies),
        row_bytes=photos.estimated_size() / n,
        search_bytes=(large_mib - small_mib) * 2**20 / (_SEARCHED[1] - _SEARCHED[0]),
    )
    here = Cluster(machines=1, cores=len(os.sched_getaffinity(0)), gbit_s=1e6)
    foretold = sum(step.hours * 3600 for step in plan(rates, here, n) if step.name not in _NOT_CHECKED)
    return rates, foretold, took["all"] - took["start"]


_NOT_CHECKED = ("predict", "review: candidates for near duplicates")  # of so few photos it is in what a review takes


def _third(lake: Path, folder: Path) -> Path:
    """Every third photo, copied."""
    for path in sorted(path for path in lake.rglob("*") if path.is_file())[::3]:
        to = folder / path.relative_to(lake)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    return folder


def _found_again(work: Path) -> float:
    """Seconds of a review whose photos were looked at before, with another threshold: it remembers nothing else."""
    start_s = time.monotonic()
    review(work=work, report=silent, train=_TRAIN, near_duplicate=0.81)
    return time.monotonic() - start_s


def _a_photo(work: Callable[[Photo], object], photos: Sequence[Photo]) -> float:
    """Seconds of one core."""
    for photo in photos[:10]:  # files in the page cache, libraries loaded
        work(photo)
    start_s = time.process_time()
    for photo in photos:
        work(photo)
    return (time.process_time() - start_s) / len(photos)


def _searched(n_photos: int) -> tuple[float, float]:
    """CPU seconds of a search for near duplicates, and its memory in MiB."""
    done = run([sys.executable, "-m", "benchmarks.million", "--search", str(n_photos)])
    told = json.loads(done.stdout)
    return told["hash_cpu_s"] + told["features_cpu_s"], done.peak_mib


def main() -> None:
    """Measure, and write the tables."""
    lake = DATA / "birds_vs_drones"
    if not lake.exists():
        sys.exit(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
    with tempfile.TemporaryDirectory() as folder:
        rates, foretold, took = measured(lake, Path(folder))
    RATES.parent.mkdir(exist_ok=True)
    RATES.write_text(json.dumps(dataclasses.asdict(rates), indent=2))
    cluster, n = Cluster(), 1e9
    results.write(
        "Scale: a plan for 1,000,000,000 photos",
        "python -m benchmarks scale",
        HEADER,
        table(rates, cluster, n),
        f"A plan, not a measurement: {cluster.machines} machines of {cluster.cores} cores, {cluster.gbit_s:g} Gbit/s "
        f"and {cluster.memory_gb:g} GB at {cluster.dollars_an_hour:g}\ndollars an hour. Of rates that were measured on "
        f"{_SAMPLE} photos of birds_vs_drones ({rates.photo_bytes / 1000:.0f} kB each), in ms of a core:\nprobe "
        f"{1000 * rates.probe_s:.1f}, shrink {1000 * rates.shrink_s:.1f}, features {1000 * rates.features_s:.1f}; the "
        f"program itself takes {1000 * rates.scan_alone_s:.2f} a photo in scan and {1000 * rates.prepare_alone_s:.2f} "
        f"in prepare,\n{1000 * rates.find_alone_s:.2f} in review once it has looked. "
        f"The search grows with the {rates.search_exponent:.2f}th power of the photos.\n"
        f"{in_words(rates, cluster)}\nThe same plan for scan, review and prepare of all of birds_vs_drones on this "
        f"machine: {foretold:.0f} s; they took {took:.0f} s.",
    )


if __name__ == "__main__":
    main()
