"""A tiny bundle that knows colours: a red photo is answered "red". Built in milliseconds, without training."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fledged.products import BackboneInfo, Bundle, Calibration, Figure, Parity, Preprocess, Unknown
from fledged.workspace import Workspace


def make_tiny_bundle(
    folder: Path,
    classes: Sequence[str] = ("red", "green", "blue"),
    size_px: int = 32,
    bundle_id: str = "c010c4ed0001",
    *,
    knows_limits: bool = False,
    explains: bool = False,
) -> Bundle:
    """A bundle saved in the working folder `folder`; its first three classes are the photo's mean R, G and B.

    One that `knows_limits` refuses photos without a colour. One that `explains` has brightness for a heatmap.
    """
    bundle = Bundle(
        id=bundle_id,
        version=Bundle.format_version,
        created_at=datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
        run_id="4a11de000001",
        dataset_id="da7a5e700001",
        snapshot_id="54a9540e0001",
        report_id="4e9047000001",
        classes=tuple(classes),
        preprocess=Preprocess(size_px=size_px),
        backbone=BackboneInfo(
            name="mean_colour", n_features=3, n_parameters=0, weights_origin="none", weights_sha256=""
        ),
        accuracy=Figure(value=0.977, low=0.961, high=0.987, n=442),
        parity=Parity(n_photos=442, label_agreement=1.0, max_abs_difference=1.2e-6),
        fledged="0.1.0",
        calibration=Calibration(temperature=1.0, n_photos=60) if knows_limits else None,
        unknown=Unknown(threshold=0.5, share_kept=0.95, n_photos=60) if knows_limits else None,
        heatmap_cells=size_px if explains else None,
    )
    workspace = Workspace(folder)
    place = workspace.folder("bundle", bundle.id)
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.onnx").write_bytes(colour_model(len(classes), knows_limits=knows_limits, explains=explains))
    return workspace.save(bundle)


def colour_model(n_classes: int, *, knows_limits: bool = False, explains: bool = False) -> bytes:
    """ONNX: photos uint8 (N, S, S, 3) -> probabilities float32 (N, n_classes), from the mean colour alone.

    The unknown score of one that `knows_limits` is 1 less the highest probability.
    """
    weights = np.zeros((3, n_classes), np.float32)
    np.fill_diagonal(weights, 0.04)  # 25 levels of 255 are one unit of the softmax
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", n_classes])]
    constants = [numpy_helper.from_array(weights, "weights")]
    score = []
    if knows_limits:
        outputs.append(helper.make_tensor_value_info("unknown_score", TensorProto.FLOAT, ["n"]))
        constants.append(numpy_helper.from_array(np.array(1, np.float32), "one"))
        score = [
            helper.make_node("ReduceMax", ["probabilities"], ["highest"], axes=[1], keepdims=0),
            helper.make_node("Sub", ["one", "highest"], ["unknown_score"]),
        ]
    if explains:
        outputs.append(helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, ["n", "rows", "columns"]))
        constants.append(numpy_helper.from_array(np.array(1e-12, np.float32), "smallest"))
        score += [
            helper.make_node("ReduceMean", ["levels"], ["brightness"], axes=[3], keepdims=0),
            helper.make_node("ReduceMax", ["brightness"], ["brightest"], axes=[1, 2], keepdims=1),
            helper.make_node("Max", ["brightest", "smallest"], ["divisor"]),
            helper.make_node("Div", ["brightness", "divisor"], ["heatmap"]),
        ]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["photos"], ["levels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["levels"], ["means"], axes=[1, 2], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            *score,
        ],
        "colours",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["n", "side", "side", 3])],
        outputs,
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
