"""TorchScript, for what loads `torch.jit` files: `model.pt`, traced, for any number of photos."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from fledged.exporting.formats.source import Source
from fledged.exporting.parity import Ask, Float32Array
from fledged.images import UInt8Array
from fledged.networks.graph import blank_photos
from fledged.writing import write_bytes


def convert(source: Source, folder: Path) -> Ask | None:
    """Writes `model.pt`, and asks it through torch.jit."""
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch.jit is deprecated: files of it are what is asked for
        blank = blank_photos(source.size_px)
        traced = torch.jit.trace(source.network, (blank,), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, data)
        write_bytes(folder / "model.pt", data.getvalue())
        loaded = torch.jit.load(folder / "model.pt", map_location="cpu")  # type: ignore[no-untyped-call]

    def ask(photos_NHWC: UInt8Array) -> dict[str, Float32Array]:
        with torch.inference_mode():
            answers = loaded(torch.from_numpy(photos_NHWC))
        return {name: answer.numpy() for name, answer in zip(source.network.outputs, answers, strict=True)}

    return ask
