"""A backbone as a chain of blocks, so that it can be cut between frozen and trained ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from fledged.errors import ConfigError


def chain(name: str, module: nn.Module) -> tuple[nn.Module, ...]:
    """The backbone's blocks in the order in which a photo passes them; one after the other they are the backbone.

    They share its weights. A block is what is frozen or trained as one: an inverted residual, a residual, a stage of
    convolutions, a dense layer. Pooling, which has no weights, belongs to the last. A network whose order is not known
    is one block.
    """
    blocks_of = _FAMILIES.get(name)
    if blocks_of is None and name.startswith("timm:"):
        # The class itself: those that inherit from it have a forward pass of their own.
        blocks_of = _OF_TIMM.get(type(module).__name__) if type(module).__module__.startswith("timm.") else None
    return tuple(blocks_of(module)) if blocks_of else (module,)


def cut(blocks: tuple[nn.Module, ...], unfreeze: int, name: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The frozen blocks, and the last `unfreeze` ones, which are trained. Raises ConfigError if there are fewer."""
    n_blocks = len(blocks)
    if not 0 <= unfreeze <= n_blocks:
        raise ConfigError(
            f"`train.unfreeze` is {unfreeze}; {name} has {n_blocks} block{'s' if n_blocks > 1 else ''}",
            remedy=f"Take 0 (none) to {n_blocks} (all), or leave it out for all.",
        )
    return nn.Sequential(*blocks[: n_blocks - unfreeze]), nn.Sequential(*blocks[n_blocks - unfreeze :])


def _mobilenet_v2(model: Any) -> Iterator[nn.Module]:
    *blocks, last = model.features
    yield from blocks
    yield nn.Sequential(last, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), model.classifier)


def _resnet18(model: Any) -> Iterator[nn.Module]:
    yield nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
    *blocks, last = [block for layer in (model.layer1, model.layer2, model.layer3, model.layer4) for block in layer]
    yield from blocks
    yield nn.Sequential(last, model.avgpool, nn.Flatten(1), model.fc)


def _vgg11(model: Any) -> Iterator[nn.Module]:
    stage: list[nn.Module] = []
    for layer in model.features:
        stage.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            yield nn.Sequential(*stage)
            stage = []
    dense = list(model.classifier)
    yield nn.Sequential(*stage, model.avgpool, nn.Flatten(1), *dense[:3])
    yield nn.Sequential(*dense[3:])


def _efficientnet(model: Any) -> Iterator[nn.Module]:
    yield nn.Sequential(model.conv_stem, model.bn1)
    for stage in model.blocks:
        yield from stage
    # Dropout of features is the head's business; timm's own is 0 here.
    yield nn.Sequential(model.conv_head, model.bn2, model.global_pool, model.classifier)


def _mobilenet_v3(model: Any) -> Iterator[nn.Module]:
    yield nn.Sequential(model.conv_stem, model.bn1)
    for stage in model.blocks:
        yield from stage
    last = (model.conv_head, model.norm_head, model.act2, model.flatten, model.classifier)
    yield nn.Sequential(model.global_pool, *last)


def _resnet(model: Any) -> Iterator[nn.Module]:
    yield nn.Sequential(model.conv1, model.bn1, model.act1, model.maxpool)
    *blocks, last = [block for layer in (model.layer1, model.layer2, model.layer3, model.layer4) for block in layer]
    yield from blocks
    yield nn.Sequential(last, model.global_pool, model.fc)


def _convnext(model: Any) -> Iterator[nn.Module]:
    yield model.stem
    blocks: list[nn.Module] = []
    for stage in model.stages:
        first, *others = stage.blocks
        blocks += [nn.Sequential(stage.downsample, first), *others]
    yield from blocks[:-1]
    yield nn.Sequential(blocks[-1], model.norm_pre, model.head)


Blocks = Callable[[nn.Module], Iterator[nn.Module]]

_FAMILIES: dict[str, Blocks] = {
    "mobilenet_v2": _mobilenet_v2,
    "resnet18": _resnet18,
    "vgg11": _vgg11,
    "efficientnet_lite0": _efficientnet,
}
# Classes of timm, each of which builds many networks: mobilenetv2_050, for one, is an EfficientNet there.
_OF_TIMM: dict[str, Blocks] = {
    "EfficientNet": _efficientnet,
    "MobileNetV3": _mobilenet_v3,
    "ResNet": _resnet,
    "ConvNeXt": _convnext,
}


@torch.inference_mode()
def shape_of(frozen: nn.Module, size_px: int) -> tuple[int, ...]:
    """What leaves the frozen blocks for one photo, such as (160, 7, 7)."""
    was_training = frozen.training
    frozen.eval()
    shape = tuple(frozen(torch.zeros(1, 3, size_px, size_px)).shape[1:])
    frozen.train(was_training)
    return shape
