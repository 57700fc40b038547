"""Training that was stopped can go on: one file with everything, and a record that names it by its sha256."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from pathlib import Path

import safetensors.torch
import torch
from pydantic import ValidationError

from fledged.errors import ProductError
from fledged.fitting.epochs import Epoch, Progress
from fledged.fitting.processes import ALONE, Group
from fledged.fitting.steps import NO_STEPS
from fledged.networks.tensors import tensors_of
from fledged.products import Environment, Run
from fledged.records import Record
from fledged.settings.training import TrainConfig
from fledged.training.environment import differences, environment
from fledged.workspace import Workspace
from fledged.writing import bytes_of_file, sha256_of_file, unreadable, write_bytes

_LOG = logging.getLogger("fledged")

_PARTS = ("model", "optimizer", "average", "best")
_STEPS = "steps"
_LATEST = "latest.json"


class Checkpoint(Record):
    """Which run was under way, what with, and where its tensors are."""

    run_id: str
    dataset_id: str
    settings: TrainConfig
    environment: Environment
    history: tuple[Epoch, ...]
    file: str  # "" before the first epoch was kept
    sha256: str
    is_stage: bool = False  # of gradual unfreezing


def begin(
    run_id: str,
    dataset_id: str,
    settings: TrainConfig,
    workspace: Workspace,
    group: Group = ALONE,
    *,
    is_stage: bool = False,
) -> Checkpoint:
    """The record of a run before its first epoch: from now on `--resume` knows what was asked for."""
    checkpoint = Checkpoint(
        run_id=run_id,
        dataset_id=dataset_id,
        settings=settings,
        environment=environment(group),
        history=(),
        file="",
        sha256="",
        is_stage=is_stage,
    )
    _write(checkpoint, workspace)
    return checkpoint


def save(progress: Progress, checkpoint: Checkpoint, workspace: Workspace, group: Group = ALONE) -> None:
    """Write the tensors, then the record that names them, then remove the earlier tensors: whatever is killed
    whenever, the record that is there names tensors that are there."""
    tensors = {
        f"{part}/{name}": tensor.cpu().contiguous().clone()
        for part in _PARTS
        for name, tensor in getattr(progress, part).items()
    }
    tensors[_STEPS] = progress.steps.contiguous()
    data = safetensors.torch.save(tensors)
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{checkpoint.run_id}-{len(progress.history)}-{sha256[:12]}.safetensors"
    write_bytes(_folder(workspace) / name, data)
    _write(
        checkpoint.model_copy(
            # A run that went on elsewhere is of the place where it went on.
            update={"environment": environment(group), "history": progress.history, "file": name, "sha256": sha256}
        ),
        workspace,
    )


def _write(checkpoint: Checkpoint, workspace: Workspace) -> None:
    folder, run_id = _folder(workspace), checkpoint.run_id
    write_bytes(folder / f"{run_id}.json", checkpoint.model_dump_json().encode())
    write_bytes(folder / _LATEST, json.dumps({"run_id": run_id}).encode())
    _remove_tensors(run_id, folder, but=checkpoint.file)


def latest(workspace: Workspace) -> Checkpoint | None:
    """The record of the training that was stopped last, if there is one."""
    path = _folder(workspace) / _LATEST
    try:
        run_id = json.loads(bytes_of_file(path))["run_id"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "it names no run") from error
    if not isinstance(run_id, str):
        raise _damaged(path, "it names no run")
    return find(run_id, workspace)


def stopped(workspace: Workspace) -> Checkpoint | None:
    """The record of the training that was under way most recently, of all that have epochs to go on from."""
    written: dict[Path, int] = {}
    for path in _folder(workspace).glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # its run is complete meanwhile
            written[path] = path.stat().st_mtime_ns
    for path in sorted(written, key=lambda path: written[path], reverse=True):
        with contextlib.suppress(ProductError):  # latest.json is no record, and a damaged one is no way to go on
            found = find(path.stem, workspace)
            if found is not None and found.history:
                return found
    return None


def find(run_id: str, workspace: Workspace) -> Checkpoint | None:
    """The record of a run's checkpoint, if there is one. Raises ProductError if it is damaged."""
    path = _folder(workspace) / f"{run_id}.json"
    try:
        return Checkpoint.model_validate_json(bytes_of_file(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise _damaged(path, "or of another version of fledged") from error


def load(checkpoint: Checkpoint, workspace: Workspace, group: Group = ALONE) -> Progress:
    """Where training stood. Raises ProductError if the file is not what was written, and WorkspaceError if
    the disk does not let it be read.

    Where this is another machine, or another number of threads or processes, a line says that the weights will not
    be those of an uninterrupted run to the last bit.
    """
    if not checkpoint.file:
        return Progress()
    if changed := differences(checkpoint.environment, environment(group)):
        _LOG.warning("Resuming where not all is as it was (%s): the last bits will differ.", "; ".join(changed))
    path = _folder(workspace) / checkpoint.file
    try:
        if sha256_of_file(path) != checkpoint.sha256:
            raise _damaged(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise _damaged(path, "it is gone") from error
    except OSError as error:  # hours of training may be in it: a disk that fails for a moment is no damage
        raise unreadable(path, error) from error
    parts: dict[str, dict[str, torch.Tensor]] = {part: {} for part in _PARTS}
    tensors = tensors_of(safetensors.torch.load_file, path)
    steps = tensors.pop(_STEPS, NO_STEPS)
    for key, tensor in tensors.items():
        part, name = key.split("/", 1)
        parts[part][name] = tensor
    return Progress(**parts, history=checkpoint.history, steps=steps)


def remove(run_id: str, workspace: Workspace) -> None:
    """Forget the checkpoint of a run that is complete."""
    folder = _folder(workspace)
    (folder / f"{run_id}.json").unlink(missing_ok=True)
    _remove_tensors(run_id, folder)


def remove_unbegun(run_id: str, workspace: Workspace) -> None:
    """Forget the record of a run that has no epoch yet."""
    with contextlib.suppress(ProductError):  # a damaged one is told to who asks for it
        if (found := find(run_id, workspace)) is not None and not found.history:
            remove(run_id, workspace)


def remove_of_finished(workspace: Workspace) -> None:
    """Forget the checkpoints of all runs that are complete: of processes that were killed between the two."""
    folder = _folder(workspace)
    for record in folder.glob("*.json"):
        with contextlib.suppress(ProductError):  # there is no such run, or it is damaged and made again
            if record.name != _LATEST and not workspace.load(Run, record.stem).interrupted:
                remove(record.stem, workspace)
    # One that was killed in the middle of that has left tensors which no record names.
    recorded = {record.stem for record in folder.glob("*.json")}
    for path in folder.glob("*.safetensors"):
        if path.name.partition("-")[0] not in recorded:
            path.unlink(missing_ok=True)


def _remove_tensors(run_id: str, folder: Path, but: str = "") -> None:
    """Those of other epochs than the one that is named, and what a killed process had half written."""
    patterns = (f"{run_id}-*.safetensors", f".{run_id}*.part", f".{_LATEST}.*.part")
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        if path.name != but:
            path.unlink(missing_ok=True)


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "checkpoints"


def _damaged(path: Path, why: str = "its sha256 differs") -> ProductError:
    return ProductError(f"The checkpoint is damaged ({why})", where=path, remedy="Train again without --resume.")
