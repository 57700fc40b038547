"""What a network consists of: parameters by block, those that a run trained, and the work of one photo."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fledged.networks.blocks import chain, cut
from fledged.networks.inference import load_classifier
from fledged.networks.model import Classifier
from fledged.products import Run
from fledged.records import Record


class BlockSize(Record):
    """A row of the parameter table."""

    block: str  # its number from 1 on, or "head"
    n_parameters: int
    is_trained: bool


class NetworkSize(Record):
    """How large a run's network is."""

    blocks: tuple[BlockSize, ...]
    gflops: float  # multiplications and additions for one photo, in 10^9

    @property
    def n_parameters(self) -> int:
        """Of all blocks and the head."""
        return sum(block.n_parameters for block in self.blocks)

    @property
    def n_trained(self) -> int:
        """Of those that the run has trained."""
        return sum(block.n_parameters for block in self.blocks if block.is_trained)


def size_of(run: Run, model: Classifier | None = None) -> NetworkSize:
    """The sizes of a run's network; `model` is that, on the CPU, where it is at hand."""
    model = model or load_classifier(run)
    blocks = chain(run.backbone.name, model.embed.backbone)
    n_trained = {"transfer": 0, "scratch": len(blocks)}.get(run.mode, run.settings.unfreeze)
    n_frozen = 0 if n_trained < 0 else len(cut(blocks, n_trained, run.backbone.name)[0])
    rows = [
        BlockSize(block=str(number), n_parameters=_n_parameters(block), is_trained=number > n_frozen)
        for number, block in enumerate(blocks, start=1)
    ]
    rows.append(BlockSize(block="head", n_parameters=_n_parameters(model.head), is_trained=True))
    return NetworkSize(blocks=tuple(rows), gflops=_flops(model, run.preprocess.size_px) / 1e9)


def _flops(model: Classifier, size_px: int) -> int:
    """Counted while a photo passes: a third of the time that it takes on the meta device, where nothing is computed."""
    photo = torch.zeros((1, size_px, size_px, 3), dtype=torch.uint8)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.eval()(photo)
    return int(counter.get_total_flops())


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
