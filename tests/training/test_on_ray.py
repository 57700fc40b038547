"""A training whose machine is lost goes on with another one, and ends in the run that one process makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.minutes import needs_minutes

pytest.importorskip("ray")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

SETTINGS: dict[str, Any] = {
    "mode": "finetune",
    "unfreeze": 1,
    "epochs": 12,
    "batch_size": 9,
    "views": 2,
    "backbone": "efficientnet_lite0",
    "input": {"size_px": 64},
    "optimize": {"precision": "fp32"},  # in bf16, which `auto` takes where the CPU has it, sums of parts differ by more
}


@needs_minutes
def test_a_killed_node_changes_nothing(work: Path, dataset: Dataset, tmp_path: Path) -> None:
    own = tmp_path / "work"
    shutil.copytree(work, own, ignore=shutil.ignore_patterns("runs", "checkpoints"))
    source = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, HERE / "lost_node.py", own, json.dumps(SETTINGS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env=os.environ | {"PYTHONPATH": source, "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert 2 <= told["kept_when_killed"] < SETTINGS["epochs"]
    assert "9 workers need 9" in told["refusal"]
    assert (told["environment"]["n_processes"], told["environment"]["engine"]) == (2, "ray")
    alone = train(dataset, work=work, report=silent, **SETTINGS)
    assert (alone.id, alone.n_epochs) == (told["run"], told["n_epochs"])
    run = Workspace(own).load(Run, told["run"])
    for ours, theirs in zip(run.history().iter_rows(named=True), alone.history().iter_rows(named=True), strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-3)
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], abs=1e-3)
    assert not list((own / "checkpoints").glob("*.safetensors"))
    assert not list((own / "cache" / "ray").iterdir())
