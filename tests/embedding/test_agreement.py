"""Another engine computes the frozen part only where its numbers are those that are served."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from demo.drawing import draw_photo
from fledged import images
from fledged.embedding import agreement, engines
from fledged.embedding.agreement import Inputs, as_inputs, measured, settled
from fledged.embedding.engines import Ask, Float32Array, opened
from fledged.embedding.features import Embedding
from fledged.embedding.graphs import embedding_of
from fledged.errors import ConfigError, MissingExtra
from fledged.networks import backbones
from fledged.networks.weights import locate
from fledged.products import Preprocess
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace
from tests.tiny import TINY

HOW = Preprocess(size_px=64)
MISSING = "ONNX Runtime computes the frozen part: OpenVINO is not here; pip install 'fledged[openvino]'"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def embedding(workspace: Workspace) -> Embedding:
    backbone = backbones.build(locate(TrainConfig(**TINY)))
    return embedding_of(backbone.name, backbone.module, HOW, workspace)


def inputs() -> Inputs:
    photos = [images.to_jpeg(draw_photo("flying_bird", seed, (96, 72)), 90) for seed in range(3)]
    return as_inputs([(jpeg, "") for jpeg in photos], HOW)


def off_by(share: float, monkeypatch: pytest.MonkeyPatch, cost: int = 0) -> None:
    """In the place of OpenVINO: what ONNX Runtime answers, so much longer, and after so many more of its answers."""

    def wrong(onnx: bytes) -> Ask:
        ask = opened("onnxruntime", onnx)

        def answer(photo: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Float32Array:
            for _ in range(cost):
                ask(photo)
            return (ask(photo) * (1 + share)).astype(np.float32)

        return answer

    monkeypatch.setitem(engines.OPEN, "openvino", wrong)
    monkeypatch.setattr(engines, "is_installed", lambda name: True)


def faster(monkeypatch: pytest.MonkeyPatch, times: float) -> None:
    """However long either took."""
    as_it_is = agreement.measured

    def told(*asked: object) -> agreement.Agreement:
        return as_it_is(*asked).model_copy(update={"times_as_fast": times})  # type: ignore[arg-type]

    monkeypatch.setattr(agreement, "measured", told)


def test_the_engine_that_serves_is_not_measured(embedding: Embedding, workspace: Workspace) -> None:
    def never() -> Inputs:
        raise AssertionError("asked for photos")

    assert settled(embedding, "onnxruntime", never, workspace) is embedding


def test_an_engine_with_other_numbers_is_refused_by_name_and_passed_over_by_auto(
    embedding: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    off_by(2e-4, monkeypatch)
    with pytest.raises(ConfigError, match=r"OpenVINO's numbers are off by 2\.0e-04 in norm .* the limit is 1e-04"):
        settled(embedding, "openvino", inputs, workspace)
    with caplog.at_level(logging.INFO, "fledged"):
        assert settled(embedding, "auto", inputs, workspace) is embedding
    assert "ONNX Runtime computes the frozen part: OpenVINO's numbers are off by 2.0e-04" in caplog.text


def test_one_that_agrees_runs_the_same_graph_and_keeps_its_numbers_apart(
    embedding: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    off_by(5e-5, monkeypatch)
    other = settled(embedding, "openvino", inputs, workspace)
    assert (other.engine, other.onnx, other.key) == ("openvino", embedding.onnx, embedding.key)
    assert other.kept_as != embedding.kept_as == embedding.key


@pytest.mark.parametrize("cost", [0, 4])
def test_auto_takes_the_faster_one_and_measures_once(
    embedding: Embedding,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    cost: int,
) -> None:
    off_by(1e-6, monkeypatch, cost)
    if not cost:
        faster(monkeypatch, 1.3)
    with caplog.at_level(logging.INFO, "fledged"):
        chosen = settled(embedding, "auto", inputs, workspace)
    assert chosen.engine == ("onnxruntime" if cost else "openvino")
    (line,) = caplog.messages
    assert "times as fast" in line

    def never(*_: object) -> agreement.Agreement:
        raise AssertionError("measured again")

    monkeypatch.setattr(agreement, "measured", never)
    assert settled(embedding, "auto", inputs, workspace) == chosen
    (kept,) = workspace.cache("engines").glob("*.json")
    *known, last, end = kept.read_bytes()
    kept.write_bytes(bytes([*known, last ^ 1, end]))  # another figure
    with pytest.raises(AssertionError, match="measured again"):
        settled(embedding, "auto", inputs, workspace)


def test_without_openvino_auto_says_so_and_its_name_is_an_error(
    embedding: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # as an import finds it where there is none
    with caplog.at_level(logging.INFO, "fledged"):
        assert settled(embedding, "auto", inputs, workspace) is embedding
    assert caplog.messages == [MISSING]
    with pytest.raises(MissingExtra, match=r"openvino.*fledged\[openvino\]"):
        settled(embedding, "openvino", inputs, workspace)


def test_a_folder_of_its_name_is_no_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openvino").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    assert not engines.is_installed("openvino")
    (tmp_path / "openvino/__init__.py").touch()
    importlib.invalidate_caches()
    assert engines.is_installed("openvino")


def test_nothing_is_decided_where_there_are_no_photos(
    embedding: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    off_by(1.0, monkeypatch)
    assert settled(embedding, "openvino", list, workspace) is embedding
    assert not workspace.cache("engines").exists()


def test_the_worst_photo_counts_and_what_is_no_number_is_never_close() -> None:
    photos = [np.full((1, 2), value, np.float32) for value in (1.0, 2.0, 4.0)]

    def same(photo: Float32Array) -> Float32Array:
        return photo

    def one_is_off(photo: Float32Array) -> Float32Array:
        return photo + np.array([[0.0, 0.1]], np.float32) if photo[0, 0] == 2 else photo

    def one_is_none(photo: Float32Array) -> Float32Array:
        return photo * np.float32(np.nan) if photo[0, 0] == 2 else photo

    found = measured(same, one_is_off, photos)
    assert found.norm == pytest.approx(0.1 / 8**0.5, rel=1e-5)
    assert found.largest == pytest.approx(0.05, rel=1e-5)
    assert found.cosine == pytest.approx((4 + 4.2) / 8**0.5 / (4 + 4.41) ** 0.5, rel=1e-5)
    assert not found.is_close
    assert measured(same, same, photos).is_close
    assert not measured(same, one_is_none, photos).is_close
