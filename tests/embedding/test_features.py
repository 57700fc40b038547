"""Cached features are what the network computes, and are computed once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from demo.drawing import draw_photo
from fledged import images, parts
from fledged.augmenting.views import view
from fledged.embedding import features
from fledged.embedding.features import Embedding, add_features, features_of, read_features
from fledged.embedding.graphs import embedding_of
from fledged.errors import WorkspaceError
from fledged.networks import backbones
from fledged.networks.model import Embedder
from fledged.networks.weights import locate
from fledged.products import Preprocess
from fledged.progress import silent
from fledged.recipes import PRESETS
from fledged.sealed import write_sealed
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace
from tests.rot import flip_a_bit

HOW = Preprocess(size_px=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def photos(n: int) -> pl.DataFrame:
    jpegs = [images.to_jpeg(draw_photo("flying_bird", seed, (96, 72)), 90) for seed in range(n)]
    return pl.DataFrame({"jpeg": jpegs, "sha256": [hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs]})


@pytest.fixture(scope="module")
def backbone() -> backbones.Backbone:
    return backbones.build(locate(TrainConfig(backbone="efficientnet_lite0")))


@pytest.fixture
def embedding(backbone: backbones.Backbone, tmp_path: Path) -> Embedding:
    return embedding_of(backbone.name, backbone.module, HOW, Workspace(tmp_path))


@pytest.mark.parametrize("number", [0, 1])
def test_cached_features_are_what_torch_computes(
    backbone: backbones.Backbone, embedding: Embedding, tmp_path: Path, number: int
) -> None:
    some = photos(5)
    # Another original, of which the same is left once it is shrunk: the cache knows but one of them.
    some = pl.concat([some, some.head(1).with_columns(sha256=pl.lit("f" * 64))])
    recipe = PRESETS["light"]
    cached = features_of(some, embedding, number, Workspace(tmp_path), silent, recipe)
    batch = np.stack([view(jpeg, HOW, number, recipe) for jpeg in some["jpeg"]])
    with torch.inference_mode():
        direct = Embedder(backbone.module, HOW).eval()(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(cached, direct, atol=2e-4)


def test_only_new_photos_are_computed(embedding: Embedding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, all_photos = Workspace(tmp_path), photos(6)
    first = features_of(all_photos.head(4), embedding, 0, workspace, silent)
    computed: list[int] = []
    original = features._compute

    def counted(some: pl.DataFrame, *rest: object) -> object:
        computed.append(some.height)
        return original(some, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(features, "_compute", counted)
    again = features_of(all_photos.reverse(), embedding, 0, workspace, silent)
    features_of(all_photos, embedding, 0, workspace, silent)
    assert computed == [2]
    np.testing.assert_array_equal(again[::-1][:4], first)


def test_what_the_disk_does_not_take_is_held_in_memory(
    embedding: Embedding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    some, writes = photos(6), []
    expected = features_of(some, embedding, 0, Workspace(tmp_path / "other"), silent)

    def write_one(path: Path, rows: pl.DataFrame) -> None:
        writes.append(len(rows))
        if len(writes) > 1:
            raise WorkspaceError("Cannot write: No space left on device", where=path)
        write_sealed(path, rows)

    monkeypatch.setattr(features, "_CHUNK", 2)
    monkeypatch.setattr(features, "_PART", 2)
    monkeypatch.setattr(parts, "write_sealed", write_one)
    found = features_of(some, embedding, 0, Workspace(tmp_path), silent)
    assert writes == [2, 2, 2]
    np.testing.assert_array_equal(found, expected)
    (line,) = caplog.messages
    assert line.startswith("Features are not kept, and computed again the next time: Cannot write: No space left")
    with pytest.raises(WorkspaceError):
        add_features(some, embedding, 0, Workspace(tmp_path), silent)


def test_equal_photos_and_a_damaged_cache_cost_nothing_but_time(embedding: Embedding, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    twice = pl.concat([photos(2), photos(2)])
    first = features_of(twice, embedding, 0, workspace, silent)
    np.testing.assert_array_equal(first[:2], first[2:])
    (cache,) = workspace.cache("features").glob("*/*.parquet")
    cache.write_bytes(b"damaged")
    np.testing.assert_array_equal(features_of(twice, embedding, 0, workspace, silent), first)


def test_a_bit_that_flips_goes_into_no_feature(
    backbone: backbones.Backbone, embedding: Embedding, tmp_path: Path
) -> None:
    workspace, some = Workspace(tmp_path), photos(2)
    first = features_of(some, embedding, 0, workspace, silent)
    (graph,) = workspace.cache("onnx").glob("*.onnx")
    (table,) = workspace.cache("features").glob("*/*.parquet")
    for path in (graph, table):
        flip_a_bit(path)
    again = embedding_of(backbone.name, backbone.module, HOW, workspace)
    assert again == embedding
    np.testing.assert_array_equal(features_of(some, again, 0, workspace, silent), first)


def test_features_that_somebody_removes_meanwhile_are_an_error(embedding: Embedding, tmp_path: Path) -> None:
    workspace, some = Workspace(tmp_path), photos(2)
    keys = add_features(some, embedding, 0, workspace, silent)
    (table,) = workspace.cache("features").glob("*/*.parquet")
    table.unlink()
    with pytest.raises(WorkspaceError, match="Cached features are gone"):
        read_features(keys, embedding, 0, workspace)


def test_the_key_tells_weights_and_standardisation_apart(backbone: backbones.Backbone, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    other = backbones.build(locate(TrainConfig(mode="scratch", backbone="efficientnet_lite0")))
    keys = {
        embedding_of(backbone.name, backbone.module, HOW, workspace).key,
        embedding_of(backbone.name, backbone.module, Preprocess(size_px=64), workspace).key,
        embedding_of(other.name, other.module, HOW, workspace).key,
    }
    assert len(keys) == 3


def test_views_of_another_recipe_are_other_features_and_the_photo_as_served_is_not(
    embedding: Embedding, tmp_path: Path
) -> None:
    workspace, some = Workspace(tmp_path), photos(2)
    light, rotated = (
        [features_of(some, embedding, number, workspace, silent, PRESETS[name]) for number in (0, 1)]
        for name in ("light", "crop_rotate")
    )
    np.testing.assert_array_equal(light[0], rotated[0])
    assert not np.allclose(light[1], rotated[1])
    assert len(list(workspace.cache("features").iterdir())) == 3  # as served, and a view of each recipe


def test_the_cache_of_photos_as_served_is_where_it_always_was(embedding: Embedding, tmp_path: Path) -> None:
    parts = [embedding.key, 0, 0, embedding.how.model_dump_json()]
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    for recipe in ((), PRESETS["light"]):
        assert features.feature_parts(embedding, 0, Workspace(tmp_path), recipe).folder.name == name
