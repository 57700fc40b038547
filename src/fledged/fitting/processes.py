"""Several processes that train one network: which of them this is, and what they tell each other.

`torchrun`, `accelerate launch` and Ray start the same program several times, each with its rank. The first process
(rank 0) decides what is to be done, and alone writes, prints and logs; the others do their part of every batch. They
need to see the same working folder. What is told is JSON and tensors, by torch.distributed.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from fledged.errors import FledgedError, TrainingError, rebuilt
from fledged.fitting.stopping import Terminated
from fledged.product_files import AnyProduct
from fledged.workspace import Workspace

_LOG = logging.getLogger("fledged")

# How long a process waits for the others. One that was killed is noticed at once, by its closed connection; this is for
# one that hangs, and has to be longer than what the first process does alone: a range test, features for the regions.
TIMEOUT = timedelta(hours=1)

_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_LOST = ("closed by peer", "reset by peer", "broken pipe", "timed out", "timeout", "connection refused", "gloo", "nccl")


class LostProcess(TrainingError):
    """A process of the group is gone: what it and the others did since the last whole epoch is lost."""


@dataclass(frozen=True, slots=True)
class Group:
    """The processes of a training, and which one this is."""

    rank: int = 0
    size: int = 1
    engine: str = "local"  # what started them: local (one process), launcher or ray

    @property
    def is_first(self) -> bool:
        """Whether this is the one that decides and writes."""
        return self.rank == 0

    def wait(self) -> None:
        """For all processes to come here."""
        if self.size > 1:
            distributed.barrier()

    def from_first(self, make: Callable[[], str]) -> str:
        """What `make` gives in the first process, told to all; a FledgedError of the first is raised in all."""
        if self.size == 1:
            return make()
        if not self.is_first:
            return _heard(_broadcast(b""))
        try:
            made = make()
        except FledgedError as error:
            parts = {"what": error.what, "where": error.where, "remedy": error.remedy}
            _broadcast(json.dumps({"kind": type(error).__name__, **parts}).encode())
            raise
        _broadcast(json.dumps({"told": made}).encode())
        return made

    def product(
        self, kind: type[AnyProduct], workspace: Workspace, make: Callable[[], AnyProduct] | None = None
    ) -> AnyProduct:
        """What `make` makes in the first process, in every process; the others load it from the working folder."""
        made: list[AnyProduct] = []

        def id_of_made() -> str:
            if make is None:
                raise ValueError("the first process makes it")
            made.append(make())
            return made[0].id

        product_id = self.from_first(id_of_made)
        return made[0] if made else workspace.load(kind, product_id)

    @contextlib.contextmanager
    def first_first(self) -> Iterator[None]:
        """What is done in here the first process does alone; the others then find it done."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


ALONE = Group()


@contextlib.contextmanager
def joined() -> Iterator[Group]:
    """The group that this process was started in, or is in already; alone where nothing started several.

    In here the other processes than the first log nothing but errors. The group stays until the process ends.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        if not all(name in os.environ for name in _LAUNCHED):
            yield ALONE
            return
        distributed.init_process_group("cuda:nccl,cpu:gloo" if torch.cuda.is_available() else "gloo", timeout=TIMEOUT)
        atexit.register(distributed.destroy_process_group)
    engine = "ray" if "ray.train" in sys.modules else "launcher"
    group, level = Group(distributed.get_rank(), distributed.get_world_size(), engine), _LOG.level
    try:
        if not group.is_first:
            _LOG.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Of 1 × 1 convolutions in channels_last, whose strides may be written in two ways: it costs a copy.
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            yield group
    finally:
        _LOG.setLevel(level)


@contextlib.contextmanager
def losses_told(group: Group) -> Iterator[None]:
    """A process of the group that is gone, or SIGTERM (launchers send it then), is a TrainingError: one line."""
    try:
        yield
    except Terminated as error:
        if group.size == 1:
            raise
        if not group.is_first:
            raise SystemExit(1) from None  # the first process has the words
        raise _stopped("The launcher stopped this training: was one of its processes killed?") from error
    except RuntimeError as error:
        if group.size == 1 or not any(word in str(error).lower() for word in _LOST):
            raise
        raise _stopped(f"Another of the {group.size} processes of this training is gone") from error


def _stopped(what: str) -> LostProcess:
    return LostProcess(
        what, remedy="Whole epochs are kept: run the same command with --resume, on as many processes or fewer."
    )


def gathered(rows: torch.Tensor) -> torch.Tensor:
    """The sum of these rows (R, F) over all processes, float64: the same bits in each of them."""
    own = rows.double().cpu().contiguous()
    of_each = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(of_each, own)
    return torch.stack(of_each).sum(0)


def _broadcast(text: bytes) -> bytes:
    """What the first process says."""
    size = torch.tensor([len(text)])
    distributed.broadcast(size, 0)
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8) if text else torch.empty(int(size), dtype=torch.uint8)
    distributed.broadcast(data, 0)
    return data.numpy().tobytes()


def _heard(text: bytes) -> str:
    answer = json.loads(text)
    if "told" in answer:
        return str(answer["told"])
    error = rebuilt(answer)
    error.is_told = True
    raise error
