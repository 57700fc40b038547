"""Steps of training, compiled by torch where somebody asks for it; no gain on the CPU it was measured on.

Compiling needs a C++ compiler, or Triton on a GPU. Where there is none, steps are what they are without.
"""

from __future__ import annotations

import functools
import logging
import random
from collections.abc import Callable

import torch
from torch import nn

_LOG = logging.getLogger("fledged")


def is_possible() -> bool:
    """Whether torch can compile here; a line says where it cannot, and why."""
    if why_not := _why_not():
        _tell(why_not)
    return not why_not


@functools.cache
def _why_not() -> str:
    """Tried on a function of a few numbers; empty where it can."""
    another = random.random()  # what was compiled once would be found again, compiler or not

    def trial(numbers: torch.Tensor) -> torch.Tensor:
        return numbers * another + 1

    try:
        torch.compile(trial)(torch.ones(4, device="cuda" if torch.cuda.is_available() else "cpu"))
    except Exception as error:  # a dozen kinds: no compiler, no headers, no folder to write to, a Python too new
        return str(error)
    return ""


class Compiled(nn.Module):
    """A network whose whole batches go through its compiled form, and others, such as a last one, through itself.

    Each size would be compiled on its own. Its weights and modes are those of the network. One that torch cannot
    compile goes through itself throughout, and a line says so.
    """

    def __init__(self, usual: nn.Module, batch_size: int) -> None:
        super().__init__()
        torch.compiler.reset()  # of an earlier network, whose forms would count against a limit
        self.usual = usual
        self.batch_size = batch_size
        self.compiled: Callable[..., torch.Tensor] = torch.compile(usual, dynamic=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the network makes of them."""
        if inputs.dtype == torch.float16:
            inputs = inputs.float()  # activations: half precision beside bf16 in one form is worth a warning to torch
        if len(inputs) != self.batch_size:
            return self.usual(inputs)  # type: ignore[no-any-return]
        try:
            return self.compiled(inputs)
        except RuntimeError as error:  # memory may have run out as well
            if not _is_of_compiling(error):
                raise
            _tell(error)
            self.compiled = self.usual
        return self.usual(inputs)  # type: ignore[no-any-return]


def _is_of_compiling(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException  # a second to import, which most trainings need not spend

    return isinstance(error, TorchDynamoException)


def _tell(why_not: object) -> None:
    """One line, where torch goes on for many about its own variables."""
    why = " ".join(str(why_not).strip().split("\n\n")[0].split())[:200]
    _LOG.warning("Steps are not compiled, but taken as usual, since torch cannot compile here: %s", why)
