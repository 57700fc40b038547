"""Run by itself: a training on two of three local nodes of a Ray cluster, one of which is killed midway."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_TRAIN_V2_ENABLED"] = "1"

import ray
from ray.cluster_utils import Cluster

from fledged.errors import FledgedError
from fledged.progress import silent
from fledged.training import on_ray
from fledged.training.train import train

MEMORY = 80 * 2**20


def often(order: dict[str, Any]) -> None:
    """What each process runs: with a checkpoint after every epoch, since the test has no time to wait for one."""
    from fledged.training import train as door

    door._CHECKPOINT_EVERY_S = 0.0
    (Path(order["work"]) / f"node-of-{os.environ['RANK']}").write_text(ray.get_runtime_context().get_node_id())
    from fledged.training.on_ray import _work

    _work(order)


def epochs_kept(work: Path) -> int:
    counts = [0]
    for path in (work / "checkpoints").glob("[0-9a-f]*.json"):
        counts.append(len(json.loads(path.read_text()).get("history", ())))
    return max(counts)


def refusal(work: Path, settings: dict[str, Any]) -> str:
    try:
        train(work=work, report=silent, engine={"name": "ray"}, **(settings | {"processes": {"workers": 9}}))
    except FledgedError as error:
        return str(error)
    return "none"


def main(work: Path, settings: dict[str, Any]) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(3)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    told: dict[str, Any] = {"refusal": refusal(work, settings), "kept_when_killed": 0}

    def kill() -> None:
        while (kept := epochs_kept(work)) < 2:
            time.sleep(0.05)
        told["kept_when_killed"] = kept
        here = ray.get_runtime_context().get_node_id()  # a node that this program is connected to must stay
        used = {(work / f"node-of-{rank}").read_text() for rank in range(2)} - {here}
        cluster.remove_node(next(node for node in nodes if node.node_id in used), allow_graceful=False)

    threading.Thread(target=kill, daemon=True).start()
    on_ray._work = often
    try:
        run = train(work=work, report=silent, engine={"name": "ray"}, processes={"workers": 2}, **settings)
        told |= {"run": run.id, "environment": run.environment.model_dump(), "n_epochs": run.n_epochs}
        print(json.dumps(told))
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
