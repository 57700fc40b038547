"""Training the last blocks: the same batches with and without the cache."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from fledged.embedding.activations import Store, n_bytes
from fledged.embedding.graphs import embedding_of
from fledged.fitting.batches import Batch
from fledged.fitting.plan import Plan
from fledged.networks import backbones
from fledged.networks.blocks import chain, cut
from fledged.networks.model import Classifier, Head, Tail
from fledged.pages import words
from fledged.products import Dataset, Preprocess
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training.tail import tail_batches
from fledged.workspace import Workspace

HOW = Preprocess(size_px=64)
PLAN = Plan(epochs=2, batch_size=8, learning_rate=1e-3, seed=3)


def batches(module: torch.nn.Module, dataset: Dataset, folder: Path, limit_bytes: int) -> list[list[Batch]]:
    workspace = Workspace(folder)
    frozen = embedding_of("mobilenet_v2[:-3]", cut(chain("mobilenet_v2", module), 3, "mobilenet_v2")[0], HOW, workspace)
    train, val = tail_batches(dataset, frozen, PLAN, TrainConfig(views=2), Store(workspace, limit_bytes, silent))
    assert train.per_epoch == len(list(train(1)))
    return [list(train(1)), list(train(2)), list(val(1))]


def test_cached_and_uncached_training_see_the_same_batches(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    module = backbones.empty("mobilenet_v2").eval()
    with caplog.at_level(logging.INFO):
        cached = batches(module, dataset, tmp_path / "cached", 10**9)
    n_train = dataset.n_in("train")
    told = [line for line in caplog.messages if line.startswith("Activations of the frozen blocks: ")]
    sizes = [n_bytes(n_photos, n_views, (160, 2, 2)) for n_photos, n_views in ((n_train, 2), (dataset.n_in("val"), 1))]
    # What judges comes first.
    assert [line.partition(": ")[2].partition(" (")[0] for line in told] == list(map(words.amount, sizes[::-1]))
    assert f"({n_train} photos, 2 views)" in told[1]
    assert "computed in each epoch" not in caplog.text
    uncached = batches(module, dataset, tmp_path / "uncached", 0)
    assert "not kept, but computed in each epoch: " in caplog.text
    for one, other in zip(cached, uncached, strict=True):
        for (a, a_labels), (b, b_labels) in zip(one, other, strict=True):
            assert torch.equal(a, b)
            assert torch.equal(a_labels, b_labels)
    labels = torch.cat([labels for _, labels in cached[0]])
    assert len(labels) == dataset.n_in("train")
    assert not torch.equal(labels, torch.cat([labels for _, labels in cached[1]]))  # another order


def test_what_just_fits_stays(dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of one training nothing is removed for the rest of it, so the next finds all of it."""
    torch.manual_seed(0)
    module = backbones.empty("mobilenet_v2").eval()
    n_train, n_val = dataset.n_in("train"), dataset.n_in("val")
    listed = 65 * (n_val + 1) + 1024  # what says which photos they are, of those that judge
    limit_bytes = n_bytes(n_train, 2, (160, 2, 2)) + n_bytes(n_val, 1, (160, 2, 2)) + listed
    with caplog.at_level(logging.INFO):
        first = batches(module, dataset, tmp_path, limit_bytes)
        n_told = len(caplog.messages)
        again = batches(module, dataset, tmp_path, limit_bytes)
    assert "computed in each epoch" not in caplog.text
    assert len(caplog.messages) == n_told
    assert all(
        torch.equal(a, b)
        for one, other in zip(first, again, strict=True)
        for (a, _), (b, _) in zip(one, other, strict=True)
    )


def test_a_tail_on_activations_answers_as_the_whole_network() -> None:
    torch.manual_seed(0)
    module = backbones.empty("mobilenet_v2")
    model = Classifier(module, Head(1280, 3), HOW).eval()
    torch.nn.init.normal_(model.head.linear.weight)
    frozen, trained = cut(chain("mobilenet_v2", module), 4, "mobilenet_v2")
    photos = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8))
    with torch.inference_mode():
        activations = frozen((photos.permute(0, 3, 1, 2).float() - model.embed.mean) / model.embed.std)
        logits = Tail(trained, model.head).eval()(activations)
        assert torch.allclose(logits, model(photos), atol=1e-4)
