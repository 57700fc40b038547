"""A flow on four Ray machines that are processes of this one, of which one is killed in each step.

`losses.py there|die LAKE WORK` prints what it made as JSON; `die` kills itself in a scan. WORK has a review
and a bundle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fledged.engine import Engine, engine_of
from fledged.predicting.files import read
from fledged.predicting.many import answer_many
from fledged.predicting.predictor import load
from fledged.preparing.prepare import prepare
from fledged.products import Prediction, Split
from fledged.progress import track
from fledged.scanning import scan as scanning

killed: list[str] = []


def main(how: str, lake: Path, work: Path) -> None:
    if how == "die":
        scanning._PART = 16
        scanning.scan(lake, work=work, report=die_at(20))
    cluster = begin_cluster()
    made = list(flow(lake, work, engine_of({"name": "ray", "address": cluster.address}), killing(cluster)))
    print(json.dumps({"made": made, "killed": killed}))
    import ray

    ray.shutdown()
    cluster.shutdown()


def flow(lake: Path, work: Path, on: Engine, report: Any) -> Iterator[Any]:
    engine = on.settings.model_dump()
    """What a scan, a preparation and predictions make, with hashes of the files."""
    snapshot = scanning.scan(lake, work=work / "fresh", report=report, engine=engine)
    yield [snapshot.id, sha256(snapshot.folder / "photos.parquet")]
    shutil.rmtree(work / "cache" / "copies")  # which the review made
    dataset = prepare(work=work, report=report, engine=engine, shorter_side_px=80)
    splits: list[Split] = ["train", "val", "test"]
    yield [dataset.id, *(sha256(shard) for split in splits for shard in dataset.shards(split))]
    predictor = load(work=work, threads=1)
    asked = [(photo.name, partial(read, photo)) for photo in sorted(lake.rglob("*.jpg"))]
    said = track(answer_many(predictor, asked, 1, replace(on, workers=2)), "Predicting", len(asked), report)
    yield [[name, answer.confidence if isinstance(answer, Prediction) else answer.error] for name, answer in said]


def begin_cluster() -> Any:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(4):
        cluster.add_node(num_cpus=1)
    return cluster


def killing(cluster: Any) -> Any:
    """A report that kills a machine in the middle of each step on photos; one is left at the end."""

    def report(step: str, done: int, total: int) -> None:
        if step in ("Scanning photos", "Shrinking photos", "Predicting") and step not in killed and 0 < done < total:
            killed.append(step)
            machine = sorted(cluster.worker_nodes, key=lambda node: node.unique_id)[0]
            cluster.remove_node(machine, allow_graceful=False)

    return report


def die_at(n: int) -> Any:
    def report(step: str, done: int, total: int) -> None:
        if done >= n:
            os.kill(os.getpid(), signal.SIGKILL)

    return report


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
