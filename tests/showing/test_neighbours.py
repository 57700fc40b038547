"""The nearest training photos are those that a plain comparison of features finds, of the cache or computed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from fledged import images
from fledged.fitting.batches import read_split
from fledged.measuring.network import Network
from fledged.measuring.photos import Photo, read
from fledged.networks.inference import load_classifier
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.showing import neighbours
from fledged.showing.neighbours import neighbours_of
from fledged.workspace import Workspace


@pytest.fixture(scope="module")
def network(run: Run) -> Network:
    return Network(run, load_classifier(run))


def photos_of(dataset: Dataset, split: str, n: int) -> dict[int, Photo]:
    """By keys of their own."""
    rows = dataset.members().filter(dataset.members()["split"] == split).sort("path").head(n)
    return {
        10 * i: Photo(path, Path(dataset.lake) / path, index, sha256)
        for i, (path, index, sha256) in enumerate(rows.select("path", "class_index", "sha256").rows())
    }


def test_the_nearest_are_those_of_a_plain_comparison(dataset: Dataset, network: Network, work: Path) -> None:
    photos = photos_of(dataset, "test", 4)
    found = neighbours_of(photos, network, dataset, 3, Workspace(work), silent)
    assert (found.n_training, found.n_compared) == (dataset.n_in("train"), dataset.n_in("train"))
    assert found.of.keys() == photos.keys()
    train = read_split(dataset, "train")
    model = network.model

    def given(data: bytes) -> torch.Tensor:
        square = images.model_input(data, model.embed.how)
        with torch.inference_mode():
            features = (model.embed(torch.from_numpy(square.copy())[None])[0] - model.head.centre) * model.head.scale
            unit: torch.Tensor = features / features.norm()
        return unit

    known = torch.stack([given(jpeg) for jpeg in train["jpeg"]])
    for key, photo in photos.items():
        cosines = known @ given(read(photo))
        order = cosines.argsort(descending=True)[:3]
        near = found.of[key]
        np.testing.assert_allclose([one.similarity for one in near], cosines[order].numpy(), atol=2e-3)
        assert [one.label for one in near] == [dataset.classes[train["label"][int(row)]] for row in order]
        assert all(one.thumbnail is not None for one in near)
        assert all((Path(dataset.lake) / one.path).exists() for one in near)


def test_a_training_photo_is_most_alike_to_itself(dataset: Dataset, network: Network, work: Path) -> None:
    photos = photos_of(dataset, "train", 3)
    found = neighbours_of(photos, network, dataset, 1, Workspace(work), silent)
    for key, (nearest,) in found.of.items():
        assert nearest.path == photos[key].path
        assert nearest.similarity > 0.7  # the file, and its small copy, which was compressed again


def test_a_backbone_of_its_own_is_asked_for_a_sample(
    dataset: Dataset, network: Network, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_MOST_COMPUTED", 5)
    tuned = dataclasses.replace(network, run=network.run.model_copy(update={"mode": "finetune"}))
    photos = photos_of(dataset, "test", 2)
    found = neighbours_of(photos, tuned, dataset, 9, Workspace(work), silent)
    assert (found.n_training, found.n_compared) == (dataset.n_in("train"), 5)
    assert [len(near) for near in found.of.values()] == [5, 5]
    assert found == neighbours_of(photos, tuned, dataset, 9, Workspace(work), silent)


def test_photos_that_are_gone_have_no_neighbours(
    dataset: Dataset, network: Network, work: Path, tmp_path: Path
) -> None:
    gone = {1: Photo("gone.jpg", tmp_path / "gone.jpg", 0, "")}
    assert neighbours_of(gone, network, dataset, 3, Workspace(work), silent).of == {}
    assert neighbours_of({}, network, dataset, 3, Workspace(work), silent).of == {}
