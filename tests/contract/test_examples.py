"""Examples in docs/examples name commands and flags that are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import fledged
from fledged.cli.app import app

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_the_workflow_calls_commands_as_they_are() -> None:
    workflow = yaml.safe_load((EXAMPLES / "retrain.yml").read_text())
    steps: list[dict[str, Any]] = workflow["jobs"]["retrain"]["steps"]
    lines = "\n".join(step.get("run", "") for step in steps)
    calls = re.findall(r"\bfledged ((?:evaluate|build|deploy|invoke)\b[^|;}\n]*)", lines)
    assert {call.split()[0] for call in calls} == {"build", "evaluate", "deploy", "invoke"}
    commands: Any = get_command(app)
    for call in calls:
        verb, *words = shlex.split(call.replace("$(", "").replace(")", ""))
        known = {flag for option in commands.commands[verb].params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, call


def test_the_ray_cluster_is_one_by_rays_own_schema() -> None:
    pytest.importorskip("ray")
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((EXAMPLES / "ray-cluster.yaml").read_text())
    validate_config(prepare_config(dict(config)))
    assert f"fledged[train,ray]=={fledged.__version__}" in config["setup_commands"][-1]


def test_the_job_on_kubernetes_calls_a_command_as_it_is() -> None:
    job = yaml.safe_load((EXAMPLES / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    _, verb, *words = shlex.split(job["spec"]["entrypoint"])
    commands: Any = get_command(app)
    known = {flag for option in commands.commands[verb].params for flag in option.opts}
    assert {word for word in words if word.startswith("--")} <= known
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]] == ["/photos"]
        assert pod["volumes"][0]["name"] == pod["containers"][0]["volumeMounts"][0]["name"]
