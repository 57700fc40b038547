"""What looks at a whole batch, where each process has only a part of it: BatchNorm and dropout.

DistributedDataParallel averages gradients, and that is all. BatchNorm in training would standardise by the photos of
its own process, and dropout draw each process's own numbers: another network than in one process. In here BatchNorm
takes its means and variances over all processes (torch's SyncBatchNorm does the same, on GPUs alone), and dropout
draws for the whole batch and takes the rows of this process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import distributed, nn
from torch.overrides import TorchFunctionMode

from fledged.fitting.losses import Mix


def seen_whole(batch: Mix) -> AbstractContextManager[object]:
    """A network that is given the batch in here answers as if it had the rows of the other processes as well."""
    return _Whole(batch) if batch.whole_N is not None else contextlib.nullcontext()


class _Whole(TorchFunctionMode):
    """Takes the place of two functions of torch while a network runs."""

    def __init__(self, batch: Mix) -> None:
        super().__init__()
        self._n_whole, self._start, self._n_own = len(batch.all_N), batch.start, len(batch.labels_N)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is nn.functional.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        if func is nn.functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    # Arguments as torch names them.

    def _dropout(self, input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        if not training or not p:
            return input
        mask = nn.functional.dropout(input.new_ones((self._n_whole, *input.shape[1:])), p, True)
        return input * mask[self._start : self._start + len(input)]

    def _batch_norm(
        self,
        input: torch.Tensor,
        running_mean: torch.Tensor | None,
        running_var: torch.Tensor | None,
        training: bool = False,
        momentum: float = 0.1,
        **others: Any,
    ) -> torch.Tensor:
        if not training:
            given = (input, running_mean, running_var)
            kept: torch.Tensor = nn.functional.batch_norm(*given, training=False, **others)
            return kept
        axes, column = [0, *range(2, input.ndim)], (1, -1, *[1] * (input.ndim - 2))
        values = input.float()
        n_values = self._n_whole * values[0, 0].numel()
        own = values[: self._n_own]  # a process without a photo in the batch sends one through that does not count
        mean_C: torch.Tensor = _Sum.apply(own.sum(axes)) / n_values
        variance_C: torch.Tensor = _Sum.apply((own - mean_C.view(column)).square().sum(axes)) / n_values
        made: torch.Tensor = (values - mean_C.view(column)) * (variance_C + others["eps"]).rsqrt().view(column)
        if (weight_C := others.get("weight")) is not None:
            made = made * weight_C.view(column) + others["bias"].view(column)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean_C, momentum)
                running_var.lerp_(variance_C * (n_values / max(1, n_values - 1)), momentum)
        return made.to(input.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes, through which gradients go back to all of them."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        """Of the values of each process."""
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """The sum of what each process makes of the total."""
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total
