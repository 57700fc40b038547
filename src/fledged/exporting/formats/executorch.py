"""ExecuTorch, for phones and other small devices: `model.pte`, one photo at a time, on XNNPACK."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import torch

from fledged.exporting.formats.source import Source
from fledged.exporting.parity import Ask, Float32Array
from fledged.images import UInt8Array
from fledged.networks.graph import blank_photos
from fledged.writing import write_bytes


def convert(source: Source, folder: Path) -> Ask | None:
    """Writes `model.pte`, and asks it through ExecuTorch's own runtime."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and ExecuTorch's warnings to their own makers
        logging.getLogger("torch").setLevel(logging.ERROR)
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
        from executorch.runtime import Runtime

        exported = torch.export.export(source.network, (blank_photos(source.size_px)[:1],))
        program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
        write_bytes(folder / "model.pte", program.buffer)
    method = Runtime.get().load_program(folder / "model.pte").load_method("forward")

    def ask(photos_NHWC: UInt8Array) -> dict[str, Float32Array]:
        # What it returns is overwritten by the next call.
        rows = [[value.numpy().copy() for value in method.execute([photo])] for photo in _one_by_one(photos_NHWC)]
        columns = zip(*rows, strict=True)
        return {name: np.concatenate(column) for name, column in zip(source.network.outputs, columns, strict=True)}

    return ask


def _one_by_one(photos_NHWC: UInt8Array) -> list[torch.Tensor]:
    return [torch.from_numpy(photo.copy())[None] for photo in photos_NHWC]
