"""The served graph, in one file: the backbone's own ONNX, head, calibrated softmax, unknown score and heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from fledged.exporting.heatmap import add_heatmap
from fledged.networks.knowing import SMALLEST, Regions

Float32Array = npt.NDArray[np.float32]

OUTPUT = "probabilities"
UNKNOWN = "unknown_score"


@dataclass(frozen=True, slots=True)
class Top:
    """What comes after the features (N, F)."""

    centre_F: Float32Array
    scale_F: Float32Array
    layers: Sequence[tuple[Float32Array, Float32Array]]  # weight (out, in) and bias (out,) of each, ReLU between them
    temperature: float
    regions: Regions | None  # without them there is no unknown score


def compose(backbone_onnx: bytes, top: Top) -> bytes:
    """ONNX from uint8 photos (N, S, S, 3) to probabilities (N, C) and, with regions, unknown scores (N,).

    Where the features come from a map of places, there are heatmaps (N, rows, columns) of the top class as well.
    The backbone's nodes are taken as they are, so that serving computes the very features that the head was trained on.
    """
    model = onnx.load_from_string(backbone_onnx)
    graph = model.graph
    features = graph.output[0].name
    del graph.output[:]
    _add_head(graph, features, top)
    if top.regions is not None:
        _add_score(graph, features, top.regions)
    inner = range(1, len(top.layers))
    add_heatmap(graph, features, [*(f"head.{n}.weight" for n in inner), "head.weight"], [f"head/{n}" for n in inner])
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _add_head(graph: onnx.GraphProto, features: str, top: Top) -> None:
    """The head as in `networks.model.Head`, then the softmax of its logits at the temperature."""
    constants = [("head.centre", top.centre_F), ("head.scale", top.scale_F)]
    nodes = [
        helper.make_node("Sub", [features, "head.centre"], ["head/centred"]),
        helper.make_node("Mul", ["head/centred", "head.scale"], ["head/scaled"]),
    ]
    values = "head/scaled"
    for number, (weight, bias) in enumerate(top.layers, start=1):
        is_last = number == len(top.layers)
        layer, summed = ("head", "logits") if is_last else (f"head.{number}", f"head/{number}")
        named = [f"{layer}.weight", f"{layer}.bias"]
        constants += [(named[0], weight), (named[1], bias)]
        nodes.append(helper.make_node("Gemm", [values, *named], [summed], transB=1))
        if not is_last:
            values = f"head/{number}/relu"
            nodes.append(helper.make_node("Relu", [summed], [values]))
    constants.append(("temperature", np.array(top.temperature, np.float32)))
    nodes.append(helper.make_node("Div", ["logits", "temperature"], ["logits/calibrated"]))
    nodes.append(helper.make_node("Softmax", ["logits/calibrated"], [OUTPUT], axis=1))
    _extend(graph, nodes, constants)
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n_photos", len(top.layers[-1][1])]))


def _add_score(graph: onnx.GraphProto, features: str, regions: Regions) -> None:
    """How far from the nearest class, as in `networks.inference.Knowing`."""
    means_CF, directions_KF, scale = regions.means_CF, regions.directions_KF, np.float32(regions.scale)
    constants = [
        ("unknown.smallest", np.array(SMALLEST, np.float32)),
        ("unknown.means", -2 * scale * means_CF.T),
        ("unknown.lengths", scale * (1 + np.square(means_CF).sum(1))),
        ("unknown.directions", directions_KF.T),
        ("unknown.along_means", means_CF @ directions_KF.T),
        ("unknown.axis", np.array([1], np.int64)),
        ("unknown.zero", np.array(0, np.float32)),
    ]
    nodes = [
        helper.make_node("ReduceL2", [features], ["unknown/length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["unknown/length", "unknown.smallest"], ["unknown/divisor"]),
        helper.make_node("Div", [features, "unknown/divisor"], ["unknown/unit"]),
        helper.make_node("MatMul", ["unknown/unit", "unknown.means"], ["unknown/nearness"]),
        helper.make_node("Add", ["unknown/nearness", "unknown.lengths"], ["unknown/distance"]),
        helper.make_node("MatMul", ["unknown/unit", "unknown.directions"], ["unknown/along"]),
        helper.make_node("Unsqueeze", ["unknown/along", "unknown.axis"], ["unknown/along_each"]),
        helper.make_node("Sub", ["unknown/along_each", "unknown.along_means"], ["unknown/off"]),
        helper.make_node("ReduceSumSquare", ["unknown/off"], ["unknown/usual"], axes=[2], keepdims=0),
        helper.make_node("Sub", ["unknown/distance", "unknown/usual"], ["unknown/squares"]),
        helper.make_node("ReduceMin", ["unknown/squares"], ["unknown/nearest"], axes=[1], keepdims=0),
        helper.make_node("Max", ["unknown/nearest", "unknown.zero"], ["unknown/square"]),
        helper.make_node("Sqrt", ["unknown/square"], [UNKNOWN]),
    ]
    _extend(graph, nodes, constants)
    graph.output.append(helper.make_tensor_value_info(UNKNOWN, TensorProto.FLOAT, ["n_photos"]))


def _extend(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], constants: list[tuple[str, Float32Array]]) -> None:
    graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants)
    graph.node.extend(nodes)
