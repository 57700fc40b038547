"""A torch module as ONNX bytes, with only standard operators inside."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.onnx.errors import OnnxExporterError

from fledged.errors import ConfigError

INPUT = "photos"  # or, of the later blocks alone, what the earlier ones made of them
OPSET = 17


def blank_photos(size_px: int) -> torch.Tensor:
    """Two, uint8 (2, size_px, size_px, 3): what a network that begins with photos is traced with."""
    return torch.zeros((2, size_px, size_px, 3), dtype=torch.uint8)


def to_onnx(module: nn.Module, inputs: torch.Tensor, output: str) -> bytes:
    """The module in evaluation mode, for any number of inputs such as these, as one ONNX file.

    Raises ConfigError where ONNX has no words for what the network does.
    """
    was_training = module.training
    module.eval()
    with _quiet(), torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        # The TorchScript exporter: a third of the time of the newer one here, and the same graph for these networks.
        try:
            torch.onnx.export(
                module,
                (inputs,),
                path,
                input_names=[INPUT],
                output_names=[output],
                dynamic_axes={INPUT: {0: "n_photos"}, output: {0: "n_photos"}},
                opset_version=OPSET,
                dynamo=False,
            )
        except OnnxExporterError as error:  # its words go on with the whole graph
            why = str(error).partition("\n")[0].partition("  [")[0].partition(". Please")[0]
            raise ConfigError(
                f"This network cannot be written as ONNX, which is what is served: {why}",
                where="train.backbone",
                remedy="Take another --backbone.",
            ) from error
        data = path.read_bytes()
    module.train(was_training)
    return data


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one
        try:
            yield
        finally:
            logger.setLevel(level)
