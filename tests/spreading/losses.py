"""A flow on three Ray machines that are processes of this one, of which one is killed in each step.

`losses.py here|there|die LAKE WORK` prints what it made as JSON; `here` is without Ray, `die` kills itself in a scan.
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

from fledged.engine import LOCAL, Engine, engine_of
from fledged.predicting.files import read
from fledged.predicting.many import answer_many
from fledged.predicting.predictor import load
from fledged.preparing.prepare import prepare
from fledged.products import Prediction
from fledged.progress import silent, track
from fledged.reviewing.review import review
from fledged.scanning import scan as scanning

killed: list[str] = []


def main(how: str, lake: Path, work: Path) -> None:
    if how == "die":
        scanning._PART = 16  # type: ignore[attr-defined]
        scanning.scan(lake, work=work, report=die_at(20))
    cluster = begin_cluster() if how == "there" else None
    on = engine_of({"name": "ray"}) if cluster else LOCAL
    report = killing(cluster) if cluster else silent
    made = list(flow(lake, work, on, report))
    print(json.dumps({"made": made[:-1], "answers": made[-1], "killed": killed}))
    if cluster:
        import ray

        ray.shutdown()
        cluster.shutdown()


def flow(lake: Path, work: Path, on: Engine, report: Any) -> Iterator[Any]:
    engine = {"name": on.settings.name}
    snapshot = scanning.scan(lake, work=work, report=report, engine=engine)
    yield snapshot.id, sha256(snapshot.folder / "photos.parquet")
    found = review(snapshot, work=work, report=silent, train={"backbone": "efficientnet_lite0"})
    shutil.rmtree(work / "cache" / "copies")  # which the review made
    dataset = prepare(None, found, work=work, report=report, engine=engine)
    yield dataset.id, [sha256(shard) for split in ("train", "val", "test") for shard in dataset.shards(split)]  # type: ignore[arg-type]
    predictor = load(work=work, threads=1)
    asked = [(photo.name, partial(read, photo)) for photo in sorted(lake.rglob("*.jpg"))]
    said = track(answer_many(predictor, asked, 1, replace(on, workers=2)), "Predicting", len(asked), report)
    yield [(name, answer.confidence if isinstance(answer, Prediction) else answer.error) for name, answer in said]


def begin_cluster() -> Any:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(4):
        cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False, logging_level="CRITICAL")
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
