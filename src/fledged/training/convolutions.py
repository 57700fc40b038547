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
    """What oneDNN's bf16 gradients are slow for is computed otherwise: MobileNetV2 learns 3 times as fast for it.

    The gradient of a 1 x 1 convolution with fewer outputs than inputs takes up to 20 times as long in bf16 as in fp32,
    where the same arithmetic as a matrix product is quick. That of a depthwise one takes 3 times as long, and as a
    depthwise one has little arithmetic it is left in fp32. (torch 2.15 on a CPU with AMX: `python -m benchmarks
    finetuning`.)
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
