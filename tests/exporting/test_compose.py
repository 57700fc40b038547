"""The served graph is the network: on drawn photos, for any number of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from demo.drawing import CLASSES, draw_photo
from fledged.exporting.served import in_fp32
from fledged.images import to_square
from fledged.networks.inference import load_classifier, load_regions, run_probabilities, run_scored
from fledged.products import Run
from fledged.progress import silent
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.tiny import TINY


@pytest.fixture(scope="module")
def served(run: Run, work: Path) -> bytes:
    return in_fp32(run, Workspace(work)).onnx


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_graph_answers_as_torch(served: bytes, run: Run, n: int) -> None:
    _assert_same_answers(served, run, n)


def test_a_head_with_a_hidden_layer_is_served_as_well(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work, tmp_path / "work")
    settings: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 1, "epochs": 3}
    run = train(work=tmp_path / "work", report=silent, **settings, head={"hidden": 16, "dropout": 0.2})
    assert [tuple(layer.weight.shape) for layer in load_classifier(run).head.layers] == [(16, 256), (4, 16)]
    _assert_same_answers(in_fp32(run, Workspace(tmp_path / "work")).onnx, run, 3)


def _assert_same_answers(served: bytes, run: Run, n: int) -> None:
    photos = np.stack([to_square(draw_photo(CLASSES[i % 4], i, (96, 72)), run.preprocess) for i in range(n)])
    session = onnxruntime.InferenceSession(served, providers=["CPUExecutionProvider"])
    answers, scores = session.run(["probabilities", "unknown_score"], {"photos": photos})
    np.testing.assert_allclose(answers, run_probabilities(run)(photos), atol=1e-5)
    of_torch, scores_of_torch = run_scored(run)(photos)
    np.testing.assert_allclose(answers, of_torch, atol=1e-5)
    np.testing.assert_allclose(scores, scores_of_torch, atol=1e-4)
    assert scores.shape == (n,)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)


def test_the_graph_takes_uint8_photos_and_holds_its_weights(served: bytes) -> None:
    model = onnx.load_from_string(served)
    (photos,), (probabilities, unknown, heatmap) = model.graph.input, model.graph.output
    assert photos.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value or d.dim_param for d in photos.type.tensor_type.shape.dim] == ["n_photos", 64, 64, 3]
    assert [d.dim_value or d.dim_param for d in probabilities.type.tensor_type.shape.dim] == ["n_photos", 4]
    assert (unknown.name, [d.dim_param for d in unknown.type.tensor_type.shape.dim]) == ("unknown_score", ["n_photos"])
    assert heatmap.name == "heatmap"
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_the_score_takes_little_room(served: bytes, run: Run) -> None:
    tensors = onnx.load_from_string(served).graph.initializer
    of_score = sum(tensor.ByteSize() for tensor in tensors if tensor.name.startswith("unknown."))
    assert 0 < of_score < 40 * run.backbone.n_features * 4
    assert of_score < 0.1 * len(served)


def test_a_photo_of_nothing_has_a_score(served: bytes) -> None:
    session = onnxruntime.InferenceSession(served, providers=["CPUExecutionProvider"])
    photos = np.zeros((2, 64, 64, 3), np.uint8)
    assert np.isfinite(session.run(["unknown_score"], {"photos": photos})[0]).all()


def test_a_run_of_before_there_was_a_score_is_served_as_it_was(run: Run, work: Path) -> None:
    older = run.model_copy(update={"calibration": None, "unknown": None})
    older.at(run.folder)
    session = onnxruntime.InferenceSession(in_fp32(older, Workspace(work)).onnx, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["probabilities", "heatmap"]
    photos = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(
        session.run(["probabilities"], {"photos": photos})[0], run_probabilities(older)(photos), atol=1e-5
    )


def test_regions_are_those_of_the_run(served: bytes, run: Run) -> None:
    by_name = {tensor.name: tensor for tensor in onnx.load_from_string(served).graph.initializer}
    directions_FK = onnx.numpy_helper.to_array(by_name["unknown.directions"])
    np.testing.assert_array_equal(directions_FK.T, load_regions(run).directions_KF)
