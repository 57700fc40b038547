"""The served graph is the network: on drawn photos, for any number of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from demo.drawing import CLASSES, draw_photo
from fledged.exporting.export import _graph
from fledged.images import to_square
from fledged.products import Run
from fledged.training.inference import run_probabilities
from fledged.workspace import Workspace


@pytest.fixture(scope="module")
def served(run: Run, work: Path) -> bytes:
    return _graph(run, Workspace(work))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_graph_answers_as_torch(served: bytes, run: Run, n: int) -> None:
    photos = np.stack([to_square(draw_photo(CLASSES[i % 4], i, (96, 72)), run.preprocess) for i in range(n)])
    session = onnxruntime.InferenceSession(served, providers=["CPUExecutionProvider"])
    answers = session.run(["probabilities"], {"photos": photos})[0]
    np.testing.assert_allclose(answers, run_probabilities(run)(photos), atol=1e-5)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)


def test_the_graph_takes_uint8_photos_and_holds_its_weights(served: bytes) -> None:
    model = onnx.load_from_string(served)
    (photos,), (probabilities,) = model.graph.input, model.graph.output
    assert photos.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value or d.dim_param for d in photos.type.tensor_type.shape.dim] == ["n_photos", 64, 64, 3]
    assert [d.dim_value or d.dim_param for d in probabilities.type.tensor_type.shape.dim] == ["n_photos", 4]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
