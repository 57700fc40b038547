"""A training that ckpt-chaos, a tool of others, kills at its file operations: `python -m tests.faults.chaos TOOL`.

TOOL is the folder that ckpt-chaos is installed in. It ends the training before each operation, in the middle of each
write, by SIGTERM, and with what was not flushed to the disk undone, as a power cut may; then it runs the same command
again, and compares the weights with those of a training that nothing ended. Minutes; not part of `make test`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo.drawing import draw_lake
from fledged.preparing.prepare import prepare
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.training import checkpoints
from fledged.training import train as door
from fledged.workspace import Workspace

_SIZE_PX = 64
_HOW = {
    "backbone": "efficientnet_lite0",
    "input": {"size_px": _SIZE_PX},
    "mode": "finetune",  # of the last block alone: features, activations and checkpoints are all written
    "unfreeze": 1,
    "views": 1,
    "epochs": 3,
}
_MODES = "before,torn,term,unsynced"


def lay_ground(work: Path) -> None:
    """A dataset to train on."""
    draw_lake(work.parent / "lake", n_per_class=6, defects=False, size_px=(96, 72))
    scan(work.parent / "lake", work=work, report=silent)
    review(work=work, report=silent, train={"backbone": _HOW["backbone"]})
    prepare(work=work, report=silent, shorter_side_px=_SIZE_PX)


def job(ground: Path, out: Path) -> None:
    """Train, or go on; at last `weights` lies in `out`."""
    work = out / "work"
    if not work.exists():
        # By other programs, whose operations are not counted.
        subprocess.run(["mkdir", "-p", out], check=True)
        subprocess.run(["cp", "-r", ground, work], check=True)
    kept = checkpoints.latest(Workspace(work))
    print(f"from epoch {len(kept.history) if kept else 0} on", flush=True)
    door._CHECKPOINT_EVERY_S = 0.0
    run = door.train(work=work, report=silent, resume=True, **_HOW)  # type: ignore[arg-type]
    subprocess.run(["cp", run.folder / "weights.safetensors", out / "weights"], check=True)


def main() -> int:
    """The exit code of ckpt-chaos: 0 where every training that was ended went on to the same weights."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("tool", type=Path, help="the folder that ckpt-chaos is installed in")
    parser.add_argument("--max-points", type=int, default=1000, help="operations at most, in all modes together")
    parser.add_argument("--job", nargs=2, type=Path, metavar=("GROUND", "OUT"), help="what ckpt-chaos runs")
    asked = parser.parse_args()
    if asked.job:
        job(*asked.job)
        return 0
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        lay_ground(folder / "work")
        own = [sys.executable, "-m", "tests.faults.chaos", str(asked.tool), "--job", str(folder / "work"), "{out}"]
        how = ["--modes", _MODES, "--max-points", str(asked.max_points), "--grace", "60", "--timeout", "3600"]
        how += [
            "--step-regex",
            r"from epoch (\d+) on",
            "--result-file",
            "{out}/weights",
            "--work",
            str(folder / "runs"),
        ]
        paths = os.pathsep.join([str(asked.tool.resolve()), *filter(None, sys.path)])
        command = [sys.executable, "-m", "ckpt_chaos", "run", *how, "--", *own]
        return subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": paths}).returncode


if __name__ == "__main__":
    sys.exit(main())
