"""The served graph: the backbone's own ONNX, the head, and the softmax, in one file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Float32Array = npt.NDArray[np.float32]

OUTPUT = "probabilities"


def compose(
    backbone_onnx: bytes, centre_F: Float32Array, scale_F: Float32Array, head: tuple[Float32Array, Float32Array]
) -> bytes:
    """ONNX from uint8 photos (N, S, S, 3) to probabilities (N, C).

    The backbone's nodes are taken as they are, so that serving computes the very features that the head was trained on.
    `head` is the linear layer's weight (C, F) and bias (C,).
    """
    model = onnx.load_from_string(backbone_onnx)
    graph = model.graph
    features = graph.output[0].name
    weight_CF, bias_C = head
    for name, array in (
        ("head.centre", centre_F),
        ("head.scale", scale_F),
        ("head.weight", weight_CF),
        ("head.bias", bias_C),
    ):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    graph.node.extend(
        [
            helper.make_node("Sub", [features, "head.centre"], ["head/centred"]),
            helper.make_node("Mul", ["head/centred", "head.scale"], ["head/scaled"]),
            helper.make_node("Gemm", ["head/scaled", "head.weight", "head.bias"], ["logits"], transB=1),
            helper.make_node("Softmax", ["logits"], [OUTPUT], axis=1),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n_photos", len(bias_C)]))
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
