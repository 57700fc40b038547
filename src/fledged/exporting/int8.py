"""The backbone in 8-bit integers: a quarter of the size, and faster where the processor multiplies such at once.

Static quantisation by ONNX Runtime, the ranges of activations being those that training photos showed. In float32 stay
standardisation, the first quarter of the convolutions and all depthwise ones, sums, convolutions after the pooling, the
head, the unknown score and the heatmap. How it was chosen: benchmarks/RESULTS.md.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from fledged import images
from fledged.networks.graph import INPUT
from fledged.products import Preprocess
from fledged.settings.results import Int8Config

_LAYERS = ("Conv", "Gemm")  # what takes time and room
_ACTIVATIONS = ("Clip", "Relu")  # which become part of the layer before them
_RANGES = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
_WEIGHTS = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
_BATCH = 8


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # the only way to hand photos to the quantiser
    def __init__(self, jpegs: Sequence[bytes], how: Preprocess) -> None:
        self._batches = _batches(jpegs, how)

    def get_next(self) -> dict[str, Any] | None:
        """The next few photos by the name of the graph's input; None after the last."""
        return next(self._batches, None)


def in_integers(backbone_onnx: bytes, jpegs: Sequence[bytes], how: Preprocess, config: Int8Config) -> bytes:
    """The ONNX graph with the ranges that these photos show; its input and output are as they were."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        original, tidy, made = (Path(folder) / name for name in ("original.onnx", "tidy.onnx", "made.onnx"))
        original.write_bytes(backbone_onnx)
        quant_pre_process(original, tidy, skip_symbolic_shape=True)
        quantize_static(
            tidy,
            made,
            _Photos(jpegs, how),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*_LAYERS, *_ACTIVATIONS],
            nodes_to_quantize=_in_integers(onnx.load(tidy).graph, config),
            per_channel=config.per_channel,
            calibrate_method=_RANGES[config.range],
            activation_type=QuantType.QUInt8,
            weight_type=_WEIGHTS[config.weights],
        )
        return made.read_bytes()


def _in_integers(graph: onnx.GraphProto, config: Int8Config) -> list[str]:
    """The names of the layers that are quantised, and of the activations that directly follow them.

    No other node: what looks like arithmetic on values may be arithmetic on shapes.
    """
    convolutions = [place for place, node in enumerate(graph.node) if node.op_type == "Conv"]
    start = (convolutions[: math.ceil(config.float_share * len(convolutions))] or [-1])[-1] + 1
    pooled = [place for place, node in enumerate(graph.node) if node.op_type == "GlobalAveragePool"]
    end = pooled[-1] if pooled else len(graph.node)
    chosen = [graph.node[place] for place in convolutions if start <= place < end]
    layers = [node for node in chosen if config.depthwise or not _is_depthwise(node)]
    layers += [node for node in graph.node if node.op_type == "Gemm"]
    made = {output for node in layers for output in node.output}
    after = [node for node in graph.node if node.op_type in _ACTIVATIONS and node.input[0] in made]
    return [node.name for node in [*layers, *after]]


def _is_depthwise(node: onnx.NodeProto) -> bool:
    groups = [attribute.i for attribute in node.attribute if attribute.name == "group"]
    return bool(groups) and groups[0] > 1


def _batches(jpegs: Sequence[bytes], how: Preprocess) -> Iterator[dict[str, Any]]:
    for start in range(0, len(jpegs), _BATCH):
        yield {INPUT: np.stack([images.model_input(jpeg, how) for jpeg in jpegs[start : start + _BATCH]])}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser prints what it does, and warns of preparations that were made."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
