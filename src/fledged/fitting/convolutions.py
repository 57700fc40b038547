"""Convolutions of a network that is trained on a CPU, computed in ways whose gradients are quick there."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from accelerate import Accelerator
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from fledged.fitting.compiling import Compiled

BatchNorm = nn.modules.batchnorm._BatchNorm
Function = Callable[..., torch.Tensor]

_IN_PLACE = (nn.functional.relu, nn.functional.relu6, nn.functional.hardtanh, nn.functional.silu)

# Of each network that was trained here, what `_norms_after` found.
_found: WeakKeyDictionary[nn.Module, dict[int, BatchNorm]] = WeakKeyDictionary()


def quick(
    model: nn.Module, inputs: torch.Tensor, accelerator: Accelerator
) -> contextlib.AbstractContextManager[object]:
    """In here the forward pass of a network is laid out for a quick backward one; on a CPU, else nothing.

    `inputs` are a batch, by which it is found once what follows what. Where it is compiled, torch itself merges what
    follows a convolution, and could not compile what looks for it.
    """
    if accelerator.device.type != "cpu":
        return contextlib.nullcontext()
    if isinstance(model, Compiled):
        return _Quick({}, in_bf16=accelerator.mixed_precision == "bf16")
    if model not in _found:
        _found[model] = _norms_after(model, inputs[:1])
    return _Quick(_found[model], in_bf16=accelerator.mixed_precision == "bf16")


class _Quick(TorchFunctionMode):
    """Frozen BatchNorm becomes part of the convolution before it, and what oneDNN is slow for is computed otherwise.

    With statistics that stay as they are, BatchNorm is a factor and a summand for each channel. Multiplied into the
    weights, it costs next to nothing, and the gradients of the weights, factors and summands are the same.

    In bf16, a 1 x 1 convolution is a matrix product, whose gradient is quick where the convolution's is not. A
    depthwise one, which has little arithmetic, is left in fp32. Figures: `python -m benchmarks finetuning`.
    """

    def __init__(self, norms: Mapping[int, BatchNorm], *, in_bf16: bool) -> None:
        super().__init__()
        self._norms = norms
        self._in_bf16 = in_bf16
        self._done: set[int] = set()  # BatchNorms that the convolution before them has taken over

    def __torch_function__(
        self,
        func: Function,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> torch.Tensor:
        """The function's own answer, or the same done in the other way."""
        kwargs = kwargs or {}
        # Layers of torch pass all seven by place; any other call gets what it asks for.
        if func is nn.functional.conv2d and len(args) == 7 and not kwargs:
            photos_NCHW, weight, bias, *how = args
            norm = self._norms.get(id(weight)) if self._norms else None
            if norm is not None and not norm.training:
                weight, bias = _folded(weight, bias, norm)
                self._done.add(id(norm.weight))
            return self._convolved(photos_NCHW, weight, bias, *how)
        if self._done and func is nn.functional.batch_norm and id(_factors_of(args, kwargs)) in self._done:
            return args[0]  # type: ignore[no-any-return]
        if func in _IN_PLACE and self._in_bf16:  # in place, on the view that a matrix product's answer is, costs a copy
            args, kwargs = (args[:1] if func is not nn.functional.hardtanh else args[:3]), {**kwargs}
            kwargs.pop("inplace", None)
        return func(*args, **kwargs)

    def _convolved(
        self, photos_NCHW: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *how: Any
    ) -> torch.Tensor:
        stride, padding, _, groups = how
        if self._in_bf16 and groups > 1:
            with torch.autocast("cpu", enabled=False):
                return nn.functional.conv2d(photos_NCHW.float(), weight, bias, *how)
        if self._in_bf16 and weight.shape[2:] == (1, 1) and stride == (1, 1) and padding == (0, 0):
            pixels_NHWC = photos_NCHW.permute(0, 2, 3, 1)
            return nn.functional.linear(pixels_NHWC, weight.flatten(1), bias).permute(0, 3, 1, 2)
        return nn.functional.conv2d(photos_NCHW, weight, bias, *how)


def _folded(weight: torch.Tensor, bias: torch.Tensor | None, norm: BatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and biases of the convolution whose answer is that of both."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale_C = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift_C = norm.bias - norm.running_mean * scale_C
    if bias is not None:
        shift_C = shift_C + bias * scale_C
    return weight * scale_C[:, None, None, None], shift_C


def _norms_after(model: nn.Module, inputs: torch.Tensor) -> dict[int, BatchNorm]:
    """Of each convolution's weights (their id) the BatchNorm that its answer goes to, where it goes to nothing else."""
    norms = {
        id(module.weight): module
        for module in model.modules()
        if isinstance(module, BatchNorm) and module.affine and module.track_running_stats
    }
    modes = [(module, module.training) for module in model.modules()]
    model.eval()  # so that no statistic moves, and no random number is drawn
    try:
        with torch.no_grad(), _Watching() as seen:
            model(inputs)
    finally:
        for module, mode in modes:
            module.training = mode
    return {
        id(weight): norms[seen.factors[id(answer)]]
        for answer, weight in seen.convolved
        if seen.n_uses[id(answer)] == 1 and seen.factors.get(id(answer)) in norms
    }


class _Watching(TorchFunctionMode):
    """Sees where the answers of convolutions go."""

    def __init__(self) -> None:
        super().__init__()
        self.convolved: list[
            tuple[torch.Tensor, torch.Tensor]
        ] = []  # answer and weights; kept, so that ids stay theirs
        self.n_uses: Counter[int] = Counter()
        self.factors: dict[int, int] = {}  # of the BatchNorm that an answer goes to

    def __torch_function__(
        self,
        func: Function,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> torch.Tensor:
        """The function's own answer."""
        answer = func(*args, **(kwargs or {}))
        if isinstance(answer, torch.Tensor | tuple | list):  # not of what merely asks for a shape
            self.n_uses.update(id(each) for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor))
        if func is nn.functional.conv2d and len(args) > 1:
            self.convolved.append((answer, args[1]))
            self.n_uses[id(answer)] = 0  # a tensor that is gone may have had its id
        if func is nn.functional.batch_norm:
            self.factors[id(args[0])] = id(_factors_of(args, kwargs or {}))
        return answer


def _factors_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    """The weights that `batch_norm` is called with."""
    return args[3] if len(args) > 3 else kwargs.get("weight")
