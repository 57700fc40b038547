"""What a training leaves behind about itself: temperature, threshold, regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of
from fledged.fitting.batches import read_split
from fledged.networks.inference import load_classifier, load_regions, run_scored
from fledged.networks.knowing import at_temperature, temperature_of, threshold_of
from fledged.products import REGIONS_FILE, Dataset, Run
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training import self_knowledge as module
from fledged.training.job import job_of
from fledged.training.self_knowledge import self_knowledge, some_of
from fledged.workspace import Workspace


def test_a_run_knows_its_temperature_and_threshold_from_validation_photos(
    run: Run, dataset: Dataset, work: Path
) -> None:
    import torch

    assert run.calibration is not None
    assert run.unknown is not None
    assert run.calibration.n_photos == run.unknown.n_photos == dataset.n_in("val")
    assert REGIONS_FILE in run.files
    model, workspace = load_classifier(run), Workspace(work)
    embedding = embedding_of(run.backbone.name, model.embed.backbone, run.preprocess, workspace)
    val = read_split(dataset, "val")
    features_NF = features_of(val, embedding, 0, workspace, silent)
    with torch.inference_mode():
        logits_NC = model.head(torch.from_numpy(features_NF)).numpy()
    assert run.calibration.temperature == temperature_of(logits_NC, val["label"].to_numpy())
    threshold = threshold_of(load_regions(run).scores(features_NF), 0.95)
    assert run.unknown.threshold == pytest.approx(threshold, abs=1e-5)


def test_its_answers_are_at_its_temperature_and_its_labels_are_not_changed(run: Run) -> None:
    import torch

    assert run.calibration is not None
    photos = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    probabilities_NC, scores_N = run_scored(run)(photos)
    with torch.inference_mode():
        plain_NC = load_classifier(run)(torch.from_numpy(photos)).softmax(1).numpy()
    np.testing.assert_array_equal(probabilities_NC.argmax(1), plain_NC.argmax(1))
    np.testing.assert_allclose(at_temperature(plain_NC, run.calibration.temperature), probabilities_NC, atol=1e-4)
    assert scores_N.shape == (8,)
    assert (scores_N > 0).all()


def test_without_validation_photos_nothing_is_claimed(run: Run, dataset: Dataset, work: Path) -> None:
    job = job_of(dataset, run.settings, Workspace(work), silent)
    bare = dataset.model_copy(update={"photos_by_split": {**dataset.photos_by_split, "val": {}}})
    known = self_knowledge(
        type(job)(job.run_id, bare, job.config, job.source, job.workspace, silent),
        run.backbone.name,
        load_classifier(run),
    )
    assert (known.calibration.temperature, known.calibration.n_photos) == (1.0, 0)
    assert known.unknown is None


def test_of_many_training_photos_some_of_each_class_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = pl.DataFrame({"label": [0] * 90 + [1] * 10, "sha256": [f"{i * 7 % 100:02}" for i in range(100)]})
    assert some_of(photos).equals(photos)
    monkeypatch.setattr(module, "_MAX_PHOTOS", 40)
    chosen = some_of(photos)
    assert dict(chosen["label"].value_counts().rows()) == {0: 20, 1: 10}
    assert some_of(photos.reverse()).sort("sha256").equals(chosen.sort("sha256"))


def test_the_share_that_is_kept_is_a_setting(run: Run, dataset: Dataset, work: Path) -> None:
    wanted = run.settings.model_copy(
        update={"unknown": TrainConfig.model_validate({"unknown": {"share_kept": 0.5}}).unknown}
    )
    job = job_of(dataset, wanted, Workspace(work), silent)
    assert job.run_id != run.id
    known = self_knowledge(job, run.backbone.name, load_classifier(run))
    assert known.unknown is not None
    assert run.unknown is not None
    assert known.unknown.share_kept == 0.5
    assert known.unknown.threshold < run.unknown.threshold
