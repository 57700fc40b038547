"""The example of a workflow: its commands are run in order, on a drawn lake and moto's API of AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from demo.drawing import draw_lake
from fledged.products import Package, Report
from fledged.workspace import Workspace
from tests.aws import function_of_the_templates, local_aws
from tests.preloaded import python
from tests.tiny import BACKBONE, TINY

NAME = "fledged"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "retrain.yml"
# A network that has never seen anything is trained in seconds, and is not good.
SETTINGS = f"""
[prepare]
shorter_side_px = 64
[train]
backbone = "{BACKBONE}"
weights = "{TINY["weights"]}"
epochs = 2
views = 1
input = {{ size_px = 64 }}
"""


@pytest.fixture
def workflow() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    return read


@pytest.fixture
def steps(workflow: dict[str, Any]) -> list[str]:
    """The commands, those left out that the runner's own programs do."""
    found = [step["run"] for step in workflow["jobs"]["retrain"]["steps"] if "run" in step]
    assert [run for run in found if not run.startswith("fledged")] == [
        "pip install 'fledged[train,aws]'",
        'aws s3 sync "s3://$BUCKET/photos" photos',
    ]
    return [run.replace("accuracy=0.95", "accuracy=0.01") for run in found if run.startswith("fledged")]


@pytest.fixture
def runner(packed: Package, work: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder as the workflow finds it, with photos that it has synced and a cache, and AWS with the function."""
    draw_lake(tmp_path / "photos", n_per_class=10, defects=False, size_px=(96, 72))
    folders = sorted((tmp_path / "photos").iterdir())
    for folder, other in zip(folders, folders[1:] + folders[:1], strict=True):
        shutil.copytree(folder, tmp_path / "golden" / folder.name)
        shutil.copytree(folder, tmp_path / "wrong" / other.name)
    (tmp_path / "fledged.toml").write_text(SETTINGS)
    (tmp_path / "fledged" / "cache").mkdir(parents=True)
    (tmp_path / "fledged" / "cache" / "wheels").symlink_to(work / "cache" / "wheels")
    with local_aws():
        function_of_the_templates(NAME)
        yield tmp_path


def run(command: str, runner: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a runner of GitHub runs it."""
    words = f'fledged() {{ {" ".join([*python(), "-m", "fledged"])} "$@"; }}\n'
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", words + command],
        cwd=runner,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_it_retrains_judges_deploys_and_goes_back(steps: list[str], runner: Path) -> None:
    environment = {"BUCKET": "photos-of-owls", "FUNCTION": NAME, "ADDRESS": "http://127.0.0.1:9", "SAMPLE": "none.jpg"}
    told = []
    for step in steps[:-1]:
        done = run(step, runner, **environment)
        assert done.returncode == 0, (step, done.stdout + done.stderr)
        told.append(done.stdout)
    functions = boto3.client("lambda")
    assert [line for line in told[-2].splitlines() if line.startswith("  code: ")]  # what would change
    answering = functions.get_alias(FunctionName=NAME, Name="live")
    assert answering["FunctionVersion"] == "2"
    # The bundle that was judged is the one that was sent.
    judged = Workspace(runner / "fledged").load(Report).subject
    sent = functions.get_function_configuration(FunctionName=NAME, Qualifier="live")["Description"]
    assert judged.removeprefix("bundle:") in sent
    # A model that is no good would not have come so far.
    gate = steps[2].replace("accuracy=0.01", "accuracy=0.95").replace("golden", "wrong")
    assert run(gate, runner, **environment).returncode == 2
    # It does not answer, as nothing does at that address: the version before comes back.
    done = run(steps[-1], runner, **environment)
    assert done.returncode == 1
    assert functions.get_alias(FunctionName=NAME, Name="live")["FunctionVersion"] == "1"
