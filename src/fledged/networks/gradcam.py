"""Grad-CAM: where in a photo the network finds what speaks for a class, at several depths.

R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017:
the activations A_k of a layer, each weighted by the mean over its places of the class's gradient, added up, and what
speaks against the class cut off: ReLU(sum_k mean_ij(d logit / d A_kij) A_k).

Shapes: N photos, S = `Preprocess.size_px`, C classes, D depths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fledged.errors import ConfigError
from fledged.networks.blocks import chain
from fledged.networks.model import Classifier

Float32Array = npt.NDArray[np.float32]

_MOST_DEPTHS = 4  # where nobody chose; the deepest ones


@dataclass(frozen=True, slots=True)
class Depth:
    """A layer that keeps places apart: the last one of a block that does."""

    block: int  # as in the run's table of blocks; of a network that is one block, the resolutions are counted
    n_cells: int  # along a side: what lies in one cell is not told apart
    layer: nn.Module


@dataclass(frozen=True, slots=True)
class Heat:
    """What a network says of a photo, and where it finds what speaks for some classes."""

    probabilities_C: Float32Array
    maps_KDSS: Float32Array  # of K classes, 0..1: the hottest place is 1, and all is 0 where nothing speaks for it


@dataclass(frozen=True, slots=True)
class Observed:
    """A network, and every depth of it, the earliest first."""

    network: Classifier
    depths: tuple[Depth, ...]


def observe(model: Classifier, name: str) -> Observed:
    """A model of this architecture with its depths; it shares its weights, which want no gradients from now on.

    There are none where the network turns its map of places into tokens, as transformers do: this method does not suit
    them.
    """
    blocks = chain(name, model.embed.backbone)
    # The chain, and not the backbone itself: it calls the very layers that are listened to.
    network = Classifier(nn.Sequential(*blocks), model.head, model.embed.how).eval().requires_grad_(False)
    seen = _maps_seen(blocks, model.embed.how.size_px)
    if len(blocks) > 1:
        last_of_block = {number: (layer, n_cells) for number, layer, n_cells in seen}
        depths = [Depth(number, n_cells, layer) for number, (layer, n_cells) in last_of_block.items()]
    else:
        last_of_size = {n_cells: layer for _, layer, n_cells in seen}
        depths = [Depth(place, n_cells, layer) for place, (n_cells, layer) in enumerate(last_of_size.items(), start=1)]
    return Observed(network, tuple(depths))


def chosen(depths: Sequence[Depth], blocks: Sequence[int]) -> tuple[Depth, ...]:
    """The depths of these blocks; without any, the last of each resolution, at most four.

    Raises ConfigError for a block that keeps no places apart, or does not exist.
    """
    if not blocks:
        return tuple({depth.n_cells: depth for depth in depths}.values())[-_MOST_DEPTHS:]
    known = {depth.block: depth for depth in depths}
    if strangers := [block for block in blocks if block not in known]:
        raise ConfigError(
            f"Block {strangers[0]} has no map of places",
            where="blocks",
            remedy=f"Take some of {', '.join(map(str, known))}.",
        )
    return tuple(known[block] for block in sorted(set(blocks)))


def heat(
    network: Classifier, depths: Sequence[Depth], photo_SSC: npt.NDArray[np.uint8], classes: Sequence[int]
) -> Heat:
    """Where a photo, as the network sees it, holds what speaks for each of these classes, at each of these depths.

    Gradients are taken of activations alone, so a frozen backbone does as well.
    """
    return heats(network, depths, [photo_SSC], [classes])[0]


def heats(
    network: Classifier,
    depths: Sequence[Depth],
    photos: Sequence[npt.NDArray[np.uint8]],
    classes: Sequence[Sequence[int]],
) -> list[Heat]:
    """As `heat`, of several photos in one pass, with the classes of each."""
    kept: dict[nn.Module, torch.Tensor] = {}

    def keep(layer: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        kept[layer] = output if output.requires_grad else output.requires_grad_()
        return kept[layer].clone()  # the next layer may write over what it is given

    hooks = [depth.layer.register_forward_hook(keep) for depth in depths]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            logits_NC = network(torch.from_numpy(np.stack(photos)))
            activations = [kept[depth.layer] for depth in depths]
            maps: list[list[Float32Array]] = [[] for _ in photos]
            for place in range(max(map(len, classes))):
                rows = [row for row, wanted in enumerate(classes) if place < len(wanted)]
                # Photos do not meet in a network that does not learn: each has its own gradient of the sum.
                speaks = torch.stack([logits_NC[row, classes[row][place]] for row in rows]).sum()
                for row, found in zip(rows, _maps(speaks, activations, rows, len(photos[0])), strict=True):
                    maps[row].append(found)
    finally:
        for hook in hooks:
            hook.remove()
    probabilities_NC = logits_NC.softmax(1).detach().numpy()
    return [Heat(probabilities_NC[row], np.stack(found)) for row, found in enumerate(maps)]


def _maps(speaks: torch.Tensor, activations: list[torch.Tensor], rows: list[int], size_px: int) -> Float32Array:
    """Of these photos of a batch (N, D, S, S)."""
    gradients = torch.autograd.grad(speaks, activations, retain_graph=True)
    maps = []
    for activation, gradient in zip(activations, gradients, strict=True):
        weights = gradient[rows].mean((2, 3), keepdim=True)
        cells = (weights * activation[rows]).sum(1, keepdim=True).relu().detach()
        # Half-pixel centres: a cell stays over the square of pixels that it stands for.
        smooth = nn.functional.interpolate(cells, (size_px, size_px), mode="bilinear", align_corners=False)[:, 0]
        hottest = smooth.amax((1, 2), keepdim=True)
        maps.append(torch.where(hottest > 0, smooth / hottest, smooth).numpy())
    return np.stack(maps, axis=1)


@torch.no_grad()
def _maps_seen(blocks: Sequence[nn.Module], size_px: int) -> list[tuple[int, nn.Module, int]]:
    """(block, layer, cells along a side) of all layers that keep places apart, in the order in which they finish.

    None where tokens come after the last of them.
    """
    found: list[tuple[int, nn.Module, int]] = []
    is_map: list[bool] = []

    def look(number: int, layer: nn.Module, output: object) -> None:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else ()
        if len(shape) == 4 and shape[2] == shape[3] > 1:
            found.append((number, layer, shape[2]))
            is_map.append(True)
        elif len(shape) == 3 and shape[1] > 1:
            is_map.append(False)

    values = torch.zeros(1, 3, size_px, size_px)
    for number, block in enumerate(blocks, start=1):
        hooks = [
            layer.register_forward_hook(lambda layer, _, output, number=number: look(number, layer, output))
            for layer in block.modules()
        ]
        values = block(values)
        for hook in hooks:
            hook.remove()
    return found if is_map and is_map[-1] else []
