"""The stages of gradual unfreezing, as they are told afterwards: `stages.json` in the folder of each stage's run."""

from __future__ import annotations

from fledged.products import Run
from fledged.records import Record
from fledged.writing import bytes_of_file

FILE = "stages.json"


def trained(unfreeze: int) -> str:
    """What is trained where so many blocks are, in words."""
    blocks = {0: "", 1: "the last block and "}.get(unfreeze, f"the last {unfreeze} blocks and ")
    return f"{blocks}the head"


def told_of(run: Run) -> Stages | None:
    """Those that the run is one of; None of any other run."""
    path = run.folder / FILE
    return Stages.model_validate_json(bytes_of_file(path)) if path.exists() else None


class Stage(Record):
    """A run of gradual unfreezing, and what it brought."""

    run_id: str
    unfreeze: int  # last blocks that were trained with the head
    learning_rate: float  # suggested by a range test
    val_accuracy: float
    val_loss: float
    val_loss_error: float = 0.0  # its standard error
    is_better: bool  # than all before it

    @property
    def trains(self) -> str:
        """What was trained, in words."""
        return trained(self.unfreeze)

    def is_worse_than(self, other: Stage) -> bool:
        """By more than chance: by more than the standard error of the other's loss."""
        return self.val_loss > other.val_loss + other.val_loss_error


class Stages(Record):
    """All of them in their order, and why no other followed."""

    stages: tuple[Stage, ...]
    n_planned: int
    target_accuracy: float
    ended: str

    @property
    def best(self) -> Stage:
        """The last one that was better than all before it: its run is the answer."""
        return [stage for stage in self.stages if stage.is_better][-1]
