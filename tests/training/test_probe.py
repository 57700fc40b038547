"""What training costs is measured, and what is in a cache costs nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from fledged.products import Dataset
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training import probe
from fledged.training.budget import Clock, Planned
from fledged.training.job import Job, job_of
from fledged.training.timed import _filled
from fledged.workspace import Workspace
from tests.tiny import TINY


def job(dataset: Dataset, work: Path, **settings: Any) -> Job:
    given = TINY | {"input": {"size_px": 64}, "views": 3, "augment": "cutout", **settings}
    return job_of(dataset, TrainConfig.model_validate(given), Workspace(work), silent)


def test_what_is_computed_is_paid_for_once(dataset: Dataset, work: Path, tmp_path: Path) -> None:
    shutil.copytree(work, tmp_path / "work")
    of_head = job(dataset, tmp_path / "work")
    of_blocks = job(dataset, tmp_path / "work", unfreeze=2)
    what = probe.opened(of_head)
    before = {name: tensor.clone() for name, tensor in what.model.state_dict().items()}
    head = probe.cost_of(of_head, what, 0.02, 4)
    blocks = probe.cost_of(of_blocks, what, 0.02, 9, head)
    assert head is not None
    assert blocks is not None
    assert len(blocks.view_s) == 3
    assert min(blocks.view_s) > 0
    assert blocks.ready_s > head.ready_s  # which it begins with
    assert blocks.epoch_s > head.epoch_s > 0
    assert _filled(of_blocks, Planned(blocks, 3, 8), what, Clock(1000)) == 3
    again = probe.cost_of(of_blocks, what, 0.02, 9, probe.cost_of(of_head, what, 0.02, 4))
    assert again is not None
    assert again.view_s == (0, 0, 0)
    assert again.first_s == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in what.model.state_dict().items())


def test_activations_that_have_no_room_are_not_planned(dataset: Dataset, work: Path) -> None:
    small = job(dataset, work, unfreeze=2, cache={"limit_gigabytes": 0})
    what = probe.opened(small)
    assert probe.cost_of(small, what, 0.02, 9, None) is None
    whole = probe.cost_of(job(dataset, work, mode="scratch", epochs=1), what, 0.02, 9)
    assert whole is not None
    assert (whole.view_s, whole.unfreeze) == ((), -1)
