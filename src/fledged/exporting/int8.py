"""The backbone in 8-bit integers: a quarter of the size, and faster where the processor multiplies such at once.

Static quantisation by ONNX Runtime, the ranges of activations being those that training photos showed. Standardisation, the first convolutions, what follows the pooling but large dense layers, the head, the
unknown score and the heatmap stay in float32. How it was chosen: benchmarks/RESULTS.md.
"""

from __future__ import annotations

import contextlib
import io
import logging
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

# Layers that take time or room, and those between them that hand integers on.
_QUANTISED = ("Conv", "Gemm", "Add", "Mul", "Clip", "Relu", "MaxPool", "Concat")
_RANGES = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
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
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_exclude=_kept_in_float(onnx.load(tidy).graph, config.float_layers),
            per_channel=config.per_channel,
            calibrate_method=_RANGES[config.range],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return made.read_bytes()


def _kept_in_float(graph: onnx.GraphProto, n_first: int) -> list[str]:
    """The names of the first convolutions, of what prepares pixels for them, and of small layers after the pooling."""
    convolutions = [place for place, node in enumerate(graph.node) if node.op_type == "Conv"]
    first = convolutions[min(n_first, len(convolutions)) - 1] + 1 if n_first and convolutions else 0
    pooled = [place for place, node in enumerate(graph.node) if node.op_type == "GlobalAveragePool"]
    after = graph.node[pooled[-1] :] if pooled else []
    return [node.name for node in [*graph.node[:first], *after] if node.op_type != "Gemm"]


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
