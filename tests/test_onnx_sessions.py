"""Graphs in integers answer the same whatever the processor multiplies at once."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fledged import onnx_sessions
from fledged.embedding.graphs import embedding_of
from fledged.exporting.int8 import in_integers
from fledged.fitting.batches import read_split
from fledged.networks.inference import load_classifier
from fledged.products import Dataset, Run
from fledged.settings.results import Int8Config
from fledged.workspace import Workspace


def product() -> bytes:
    weight = numpy_helper.from_array(np.full((64, 16), 127, np.int8), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "overflow",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [4, 64])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [4, 16])],
        [weight],
    )
    opset = [helper.make_opsetid("", 13)]
    made: bytes = helper.make_model(
        graph, opset_imports=opset, ir_version=8, producer_name="fledged"
    ).SerializeToString()
    return made


def test_the_product_that_is_tried_is_the_one_it_is_said_to_be() -> None:
    kept = onnx.load_from_string(zlib.decompress(base64.b85decode(onnx_sessions._PRODUCT)))
    assert kept == onnx.load_from_string(product())


@pytest.mark.parametrize("overflows", [True, False])
def test_a_processor_that_overflows_is_told_to_take_unsigned_weights(
    overflows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_sessions, "multiplies_bytes_exactly", lambda: not overflows)
    for integers in (True, False):
        chosen = onnx_sessions.options(2, integers=integers)
        assert chosen.intra_op_num_threads == 2
        try:
            told = chosen.get_session_config_entry("session.x64quantprecision")
        except RuntimeError:  # how onnxruntime says that it was not set
            told = ""
        assert (told == "1") == (overflows and integers)


def test_what_is_asked_for_is_exact_here(run: Run, work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor with VNNI both ways are taken by turns; without, the exact one is compared with plain ONNX."""
    dataset = Workspace(work).load(Dataset, run.dataset_id)
    jpegs = read_split(dataset, "train")["jpeg"].to_list()[:8]
    backbone = load_classifier(run).embed.backbone
    exact = embedding_of(run.backbone.name, backbone, run.preprocess, Workspace(work)).onnx
    signed, unsigned = (
        in_integers(exact, jpegs, run.preprocess, Int8Config(weights=weights)) for weights in ("s8", "u8")
    )
    photo = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)

    def features(graph: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        session = onnxruntime.InferenceSession(graph, onnx_sessions.options(1, integers=True))
        found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = session.run(
            None, {session.get_inputs()[0].name: photo}
        )[0]
        return found

    here = features(signed)
    monkeypatch.setattr(onnx_sessions, "multiplies_bytes_exactly", lambda: False)
    assert np.array_equal(features(signed), here)
    # Weights are rounded otherwise, but nothing may have overflowed: that changes features by their own size.
    assert np.corrcoef(features(unsigned).ravel(), here.ravel())[0, 1] > 0.95
