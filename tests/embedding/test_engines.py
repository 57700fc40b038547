"""OpenVINO runs the graphs of frozen blocks: the same numbers, whatever thread asks."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.drawing import draw_photo
from fledged import images
from fledged.embedding import agreement, engines
from fledged.embedding.agreement import LIMIT, measured
from fledged.embedding.engines import SERVES
from fledged.embedding.features import Embedder, Embedding
from fledged.embedding.graphs import embedding_of
from fledged.evaluating.evaluate import evaluate
from fledged.exporting.export import export
from fledged.networks import backbones
from fledged.networks.weights import locate
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Preprocess, Run
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.settings.training import TrainConfig
from fledged.training.job import job_of
from fledged.training.reproduce import reproduce
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.tiny import TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 2, "batch_size": 8, "epochs": 3}
has_openvino = pytest.mark.skipif(not engines.is_installed("openvino"), reason="OpenVINO is not installed")


@pytest.fixture
def own_work(work: Path, run: Run, tmp_path: Path) -> Path:
    shutil.copytree(work, tmp_path / "work", ignore=shutil.ignore_patterns("runs", "checkpoints", "cache"))
    return tmp_path / "work"


@pytest.fixture
def embedding(tmp_path: Path) -> Embedding:
    backbone = backbones.build(locate(TrainConfig(backbone="efficientnet_lite0")))
    return embedding_of(backbone.name, backbone.module, Preprocess(size_px=64), Workspace(tmp_path))


@pytest.fixture
def always_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it took: what auto takes depends on that."""
    as_it_is = agreement.measured

    def told(*asked: Any) -> agreement.Agreement:
        return as_it_is(*asked).model_copy(update={"times_as_fast": 1.5})

    monkeypatch.setattr(agreement, "measured", told)


def drawn(n: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, 64, 64, 3), np.uint8) for _ in range(n)]


@has_openvino
def test_its_numbers_are_the_same_within_the_limit(embedding: Embedding) -> None:
    asks = [engines.opened(name, embedding.onnx) for name in (SERVES, "openvino")]
    found = measured(asks[0], asks[1], drawn(4))
    assert found.norm < LIMIT / 10
    assert not np.array_equal(asks[0](drawn(1)[0]), asks[1](drawn(1)[0]))  # it is another engine


@has_openvino
def test_threads_that_ask_at_once_get_what_one_gets(embedding: Embedding) -> None:
    ask, photos = engines.opened("openvino", embedding.onnx), drawn(8)
    alone = [ask(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ask, photos * 5))
    for number, answer in enumerate(together):
        np.testing.assert_array_equal(answer, alone[number % len(photos)])


@has_openvino
def test_a_job_that_was_sent_elsewhere_opens_it_there(embedding: Embedding) -> None:
    photo = images.to_jpeg(draw_photo("flying_bird", 1, (96, 72)), 90), "0" * 64
    job = Embedder(replace(embedding, engine="openvino"), 0, ())
    here, there = (one.open()([photo])[0] for one in (job, pickle.loads(pickle.dumps(job))))
    np.testing.assert_array_equal(here, there)


def test_the_engine_that_serves_is_no_part_of_what_a_run_is(own_work: Path, dataset: Dataset) -> None:
    def run_id(**settings: object) -> str:
        return job_of(dataset, TrainConfig(**SMALL, **settings), Workspace(own_work), silent).run_id

    assert run_id() == run_id(cache={"engine": SERVES}) != run_id(cache={"engine": "openvino"})
    assert run_id(mode="scratch") == run_id(mode="scratch", cache={"engine": "openvino"})


@has_openvino
@pytest.mark.parametrize("kind", [{}, {"unfreeze": 2}, {"unfreeze": 1, "cache": {"blocks": 2}}])
def test_a_run_with_it_comes_out_the_same_again_and_passes_the_gate_of_its_export(
    own_work: Path, dataset: Dataset, kind: dict[str, Any]
) -> None:
    settings = SMALL | kind
    settings["cache"] = {**kind.get("cache", {}), "engine": "openvino"}
    run = train(dataset, work=own_work, report=silent, **settings)
    assert run.settings.cache.engine == "openvino"
    assert reproduce(run.id, work=own_work, report=silent).is_equal
    evaluate(run, work=own_work, report=silent)
    assert export(run, work=own_work, report=silent).parity.label_agreement == 1  # or it would have been refused
    usual = train(dataset, work=own_work, report=silent, **SMALL | kind)
    assert usual.id != run.id
    assert usual.val_loss == pytest.approx(run.val_loss, rel=1e-3)


@has_openvino
def test_what_auto_chose_is_what_the_run_says(own_work: Path, dataset: Dataset, always_faster: None) -> None:
    run = train(dataset, work=own_work, report=silent, **SMALL, cache={"engine": "auto"})
    assert run.settings.cache.engine == "openvino"
    assert train(dataset, work=own_work, report=silent, **SMALL, cache={"engine": "auto"}).id == run.id
    assert evaluate(run, work=own_work, report=silent).subject == f"run:{run.id}"
    assert reproduce(run.id, work=own_work, report=silent).is_equal


@has_openvino
@pytest.mark.parametrize("asked", ["openvino", "auto"])
def test_what_the_review_looked_at_is_not_computed_again(
    clean_lake: Path, tmp_path: Path, asked: str, always_faster: None
) -> None:
    settings = TINY | {"cache": {"engine": asked}}
    scan(clean_lake, work=tmp_path, report=silent)
    first = review(work=tmp_path, report=silent, train=settings)
    assert review(work=tmp_path, report=silent, train=TINY | {"cache": {"engine": "openvino"}}).id == first.id
    dataset = prepare(work=tmp_path, report=silent)
    train(dataset, work=tmp_path, report=silent, **settings, views=1, epochs=1)
    assert len(list((tmp_path / "cache/features").iterdir())) == 1
    assert review(work=tmp_path, report=silent, train=TINY).id != first.id
