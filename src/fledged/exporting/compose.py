"""The served graph: the backbone's own ONNX, the head, and the softmax, in one file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Float32Array = npt.NDArray[np.float32]

OUTPUT = "probabilities"


def compose(
    backbone_onnx: bytes,
    centre_F: Float32Array,
    scale_F: Float32Array,
    layers: Sequence[tuple[Float32Array, Float32Array]],
) -> bytes:
    """ONNX from uint8 photos (N, S, S, 3) to probabilities (N, C).

    The backbone's nodes are taken as they are, so that serving computes the very features that the head was trained on.
    `layers` are the weight (out, in) and bias (out,) of each layer of the head, with ReLU between them.
    """
    model = onnx.load_from_string(backbone_onnx)
    graph = model.graph
    features = graph.output[0].name
    constants = [("head.centre", centre_F), ("head.scale", scale_F)]
    nodes = [
        helper.make_node("Sub", [features, "head.centre"], ["head/centred"]),
        helper.make_node("Mul", ["head/centred", "head.scale"], ["head/scaled"]),
    ]
    values = "head/scaled"
    for number, (weight, bias) in enumerate(layers, start=1):
        is_last = number == len(layers)
        layer, summed = ("head", "logits") if is_last else (f"head.{number}", f"head/{number}")
        named = [f"{layer}.weight", f"{layer}.bias"]
        constants += [(named[0], weight), (named[1], bias)]
        nodes.append(helper.make_node("Gemm", [values, *named], [summed], transB=1))
        if not is_last:
            values = f"head/{number}/relu"
            nodes.append(helper.make_node("Relu", [summed], [values]))
    graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants)
    graph.node.extend([*nodes, helper.make_node("Softmax", ["logits"], [OUTPUT], axis=1)])
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n_photos", len(layers[-1][1])]))
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
