"""The graph's own explanation: where the last map of places holds what speaks for the class that is answered.

What Grad-CAM computes at that depth (`networks.gradcam`), without automatic differentiation: the few layers between the
map and the logits are passed backwards by nodes of the graph, each with its exact derivative. Over a linear head this
is the class activation map of B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEATMAP = "heatmap"

_SMALLEST = np.float32(1e-12)  # by which a map is divided at least: one that is all 0 stays so
_KEPT_AS_IT_IS = ("Identity", "Dropout")
_RESHAPED = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


class _Backwards:
    """Nodes that are added to a graph, from the logits back towards the photos."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self._numbers = count()

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """The name of what the new node makes."""
        output = output or f"{HEATMAP}/{next(self._numbers)}"
        self.graph.node.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: object, kind: type[np.generic] = np.float32) -> str:
        """The name of a new constant."""
        name = f"{HEATMAP}.{next(self._numbers)}"
        self.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def like(self, gradient: str, name: str) -> str:
        """The gradient in the shape of the value `name`."""
        return self.node("Reshape", gradient, self.node("Shape", name))


def add_heatmap(graph: onnx.GraphProto, features: str, weights: Sequence[str], hidden: Sequence[str]) -> bool:
    """Adds the output `heatmap`, (N, rows, columns), 0..1, of each photo's top class, and says so.

    False, and nothing is added, where the features do not come from a map of places by way of layers that are known
    here, as in transformers. The head: `weights` (out, in) of its layers, and the sums `hidden` under each ReLU between
    them; it begins with a scaling by `head.scale`.
    """
    plan = _path(graph, features)
    if plan is None:
        return False
    places, steps, is_pooled = plan
    back = _Backwards(graph)
    # The row of the last layer for the top class; then back by each hidden layer, as far as its ReLU let it through.
    gradient = back.node("Gather", weights[-1], back.node("ArgMax", "logits", axis=1, keepdims=0), axis=0)
    for weight, summed in zip(reversed(weights[:-1]), reversed(hidden), strict=True):
        gradient = back.node("MatMul", _through_relu(back, gradient, summed), weight)
    gradient = back.node("Mul", gradient, "head.scale")
    for step in steps:
        gradient = _DERIVATIVES[step.op_type](back, gradient, step)
    # Each channel counts by its mean over the places; after a mean over all places that is one number anyhow.
    flat = back.constant([0, 0, -1], np.int64)
    counts_NK1 = back.node("Reshape", gradient, back.constant([0, -1, 1], np.int64) if is_pooled else flat)
    if not is_pooled:
        counts_NK1 = back.node("ReduceMean", counts_NK1, axes=[2], keepdims=1)
    counts_N1K = back.node("Transpose", counts_NK1, perm=[0, 2, 1])
    summed = back.node("MatMul", counts_N1K, back.node("Reshape", places, flat))
    shape = back.node("Concat", back.constant([0], np.int64), back.node("Shape", places, start=2), axis=0)
    summed = back.node("Reshape", summed, shape)
    heat = back.node("Relu", summed)
    hottest = back.node("ReduceMax", heat, axes=[1, 2], keepdims=1)
    back.node("Div", heat, back.node("Max", hottest, back.constant(_SMALLEST)), output=HEATMAP)
    graph.output.append(helper.make_tensor_value_info(HEATMAP, TensorProto.FLOAT, ["n_photos", "rows", "columns"]))
    return True


def _path(graph: onnx.GraphProto, features: str) -> tuple[str, list[onnx.NodeProto], bool] | None:
    """The last map of places, the nodes from the features back to it, and whether a mean over all places is between.

    None if there is no map, or a node that is not known.
    """
    makers = {output: node for node in graph.node for output in node.output}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    steps: list[onnx.NodeProto] = []
    value = features
    is_dense = False  # a vector by now, whatever its shape
    while (node := makers.get(value)) is not None:
        if node.op_type == "GlobalAveragePool":
            return node.input[0], steps, True
        if node.op_type == "ReduceMean" and _attribute(node, "axes") in ([2, 3], [-2, -1], [-1, -2]):
            return node.input[0], steps, True
        if node.op_type in ("MaxPool", "AveragePool") and not is_dense and steps:
            return (value, steps, False) if steps[-1].op_type in _RESHAPED else None
        if node.op_type not in _DERIVATIVES:
            return None
        if node.op_type == "Conv" and not _is_dense(node, tensors):
            return None
        is_dense = is_dense or node.op_type == "Conv"
        steps.append(node)
        value = node.input[0]
    return None


def _attribute(node: onnx.NodeProto, name: str) -> object:
    found = [helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == name]
    return found[0] if found else None


def _is_dense(node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]) -> bool:
    """Whether a convolution sees one place alone, and all channels of it: a dense layer, after the pooling."""
    weight = tensors.get(node.input[1])
    return weight is not None and list(weight.dims[2:]) == [1, 1] and _attribute(node, "group") in (None, 1)


def _through_relu(back: _Backwards, gradient: str, summed: str) -> str:
    is_on = back.node("Greater", summed, back.constant(0))
    return back.node("Mul", gradient, back.node("Cast", is_on, to=TensorProto.FLOAT))


def _relu(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    return _through_relu(back, gradient, node.input[0])


def _unchanged(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    return gradient


def _reshaped(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    return back.like(gradient, node.input[0])


def _transposed(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    order = _attribute(node, "perm")
    assert isinstance(order, list)
    return back.node("Transpose", gradient, perm=np.argsort(order).tolist())


def _gemm(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    weight = node.input[1]
    if not _attribute(node, "transB"):
        weight = back.node("Transpose", weight, perm=[1, 0])
    return back.node("MatMul", gradient, weight)


def _dense_conv(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    weight_OI = back.node("Flatten", node.input[1], axis=1)
    return back.like(back.node("MatMul", back.node("Flatten", gradient, axis=1), weight_OI), node.input[0])


def _hard_swish(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    """x clip(x/6 + 1/2, 0, 1): the slope is x/3 + 1/2 between -3 and 3, then 1, and 0 before."""
    value, three = node.input[0], back.constant(3)
    middle = back.node("Add", back.node("Div", value, three), back.constant(0.5))
    outside = back.node("Cast", back.node("Greater", value, three), to=TensorProto.FLOAT)
    is_inside = back.node("Less", back.node("Abs", value), three)
    return back.node("Mul", gradient, back.node("Where", is_inside, middle, outside))


def _layer_norm(back: _Backwards, gradient: str, node: onnx.NodeProto) -> str:
    """Over the last axis, from the values alone: (g - mean g - x̂ mean(g x̂)) / σ with g the scaled gradient."""
    epsilon = _attribute(node, "epsilon")
    value, scaled = node.input[0], back.node("Mul", gradient, node.input[1])

    def mean(name: str) -> str:
        return back.node("ReduceMean", name, axes=[-1], keepdims=1)

    centred = back.node("Sub", value, mean(value))
    variance = back.node("Add", mean(back.node("Mul", centred, centred)), back.constant(epsilon or 1e-5))
    spread = back.node("Sqrt", variance)
    unit = back.node("Div", centred, spread)
    along = back.node("Mul", unit, mean(back.node("Mul", scaled, unit)))
    return back.node("Div", back.node("Sub", back.node("Sub", scaled, mean(scaled)), along), spread)


_DERIVATIVES: dict[str, Callable[[_Backwards, str, onnx.NodeProto], str]] = {
    **dict.fromkeys(_KEPT_AS_IT_IS, _unchanged),
    **dict.fromkeys(_RESHAPED, _reshaped),
    "Relu": _relu,
    "Gemm": _gemm,
    "Conv": _dense_conv,
    "HardSwish": _hard_swish,
    "LayerNormalization": _layer_norm,
    "Transpose": _transposed,
}
