"""Convolutions in bf16 on a CPU, by ways whose gradients are quick there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.overrides import TorchFunctionMode


def quick(accelerator: Accelerator) -> contextlib.AbstractContextManager[object]:
    """In here a network's forward pass is laid out for a quick backward one; of use in bf16 on a CPU, else nothing."""
    is_wanted = accelerator.mixed_precision == "bf16" and accelerator.device.type == "cpu"
    return _Quick() if is_wanted else contextlib.nullcontext()


class _Quick(TorchFunctionMode):
    """What oneDNN's bf16 gradients are slow for is computed otherwise: a step of MobileNetV2 takes a third of the time.

    A 1 x 1 convolution is a matrix product, whose gradient is quick in bf16 where the convolution's is not. A depthwise
    one, which has little arithmetic, is left in fp32. In CPU time a photo at 160 px, one short run beside other work:
    27 ms, 80 before, 38 in fp32 (torch 2.15 on a CPU with AMX; see `python -m benchmarks finetuning`).
    """

    def __torch_function__(
        self,
        func: Callable[..., torch.Tensor],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> torch.Tensor:
        """The function's own answer, or the convolution done in the other way."""
        # Layers of torch pass all seven by place; any other call gets what it asks for.
        if func is nn.functional.conv2d and len(args) == 7 and not kwargs:
            photos_NCHW, weight, bias, stride, padding, _, groups = args
            if groups > 1:
                with torch.autocast("cpu", enabled=False):
                    return func(photos_NCHW.float(), *args[1:])
            if weight.shape[2:] == (1, 1) and stride == (1, 1) and padding == (0, 0):
                pixels_NHWC = photos_NCHW.permute(0, 2, 3, 1)
                return nn.functional.linear(pixels_NHWC, weight.flatten(1), bias).permute(0, 3, 1, 2)
        return func(*args, **(kwargs or {}))
