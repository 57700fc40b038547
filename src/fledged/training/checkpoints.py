"""Training that was stopped can go on: one file with everything, and a record that names it by its sha256."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch
from pydantic import ValidationError

from fledged.config import Record, TrainConfig
from fledged.errors import ProductError
from fledged.training.loop import Epoch, Progress
from fledged.workspace import Workspace, sha256_of_file, write_bytes

_PARTS = ("model", "optimizer", "best")


class Checkpoint(Record):
    """Which run was under way, and where its tensors are."""

    run_id: str
    dataset_id: str
    settings: TrainConfig
    history: tuple[Epoch, ...]
    file: str
    sha256: str


def save(progress: Progress, run_id: str, dataset_id: str, settings: TrainConfig, workspace: Workspace) -> None:
    """Write the tensors, then the record, then remove the earlier tensors."""
    folder = _folder(workspace)
    tensors = {
        f"{part}/{name}": tensor.cpu().contiguous().clone()
        for part in _PARTS
        for name, tensor in getattr(progress, part).items()
    }
    data = safetensors.torch.save(tensors)
    name = f"{run_id}-{len(progress.history)}.safetensors"
    write_bytes(folder / name, data)
    checkpoint = Checkpoint(
        run_id=run_id,
        dataset_id=dataset_id,
        settings=settings,
        history=tuple(progress.history),
        file=name,
        sha256=sha256_of_file(folder / name),
    )
    write_bytes(folder / f"{run_id}.json", checkpoint.model_dump_json().encode())
    write_bytes(folder / "latest.json", json.dumps({"run_id": run_id}).encode())
    for other in folder.glob(f"{run_id}-*.safetensors"):
        if other.name != name:
            other.unlink()


def latest(workspace: Workspace) -> Checkpoint | None:
    """The record of the training that was stopped last, if there is one."""
    try:
        run_id = json.loads((_folder(workspace) / "latest.json").read_text())["run_id"]
    except FileNotFoundError:
        return None
    return find(run_id, workspace)


def find(run_id: str, workspace: Workspace) -> Checkpoint | None:
    """The record of a run's checkpoint, if there is one. Raises ProductError if it is damaged."""
    path = _folder(workspace) / f"{run_id}.json"
    try:
        return Checkpoint.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise _damaged(path) from error


def load(checkpoint: Checkpoint, workspace: Workspace) -> Progress:
    """Where training stood. Raises ProductError if the file is not what was written."""
    path = _folder(workspace) / checkpoint.file
    try:
        intact = sha256_of_file(path) == checkpoint.sha256
    except OSError:
        intact = False
    if not intact:
        raise _damaged(path)
    progress = Progress(history=list(checkpoint.history))
    tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(path)
    for key, tensor in tensors.items():
        part, name = key.split("/", 1)
        getattr(progress, part)[name] = tensor
    return progress


def remove(run_id: str, workspace: Workspace) -> None:
    """Forget the checkpoint of a run that is complete."""
    folder = _folder(workspace)
    for path in (folder / f"{run_id}.json", *folder.glob(f"{run_id}-*.safetensors")):
        path.unlink(missing_ok=True)


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "checkpoints"


def _damaged(path: Path) -> ProductError:
    return ProductError(
        "The checkpoint is damaged (its sha256 differs)", where=path, remedy="Train again without --resume."
    )
