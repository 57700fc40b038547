"""Activations of frozen blocks: what the network computes, computed once, bounded on disk."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from demo.drawing import draw_photo
from fledged import images
from fledged.augmenting.views import view
from fledged.embedding import activations
from fledged.embedding.activations import (
    Store,
    activations_of,
    anew,
    n_bytes,
    n_lacking,
    open_graphs,
    shape_of,
)
from fledged.embedding.features import Embedding, copy_keys
from fledged.embedding.graphs import embedding_of, onward
from fledged.embedding.room import NoRoom
from fledged.networks import backbones
from fledged.networks.blocks import chain, cut
from fledged.networks.model import Embedder
from fledged.networks.weights import locate
from fledged.products import Preprocess
from fledged.progress import silent
from fledged.recipes import PRESETS, Recipe
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace

HOW = Preprocess(size_px=64)
LIMIT = 10**9
LIGHT = PRESETS["light"]


@pytest.fixture(scope="module")
def frozen_blocks() -> torch.nn.Sequential:
    module = backbones.build(locate(TrainConfig(backbone="efficientnet_lite0"))).module
    return cut(chain("efficientnet_lite0", module), 3, "efficientnet_lite0")[0]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def frozen(frozen_blocks: torch.nn.Module, workspace: Workspace) -> Embedding:
    return embedding_of("efficientnet_lite0[:-3]", frozen_blocks, HOW, workspace)


def photos(*seeds: int) -> pl.DataFrame:
    jpegs = [images.to_jpeg(draw_photo("flying_bird", seed, (96, 72)), 90) for seed in seeds]
    return pl.DataFrame({"jpeg": jpegs, "sha256": [f"{seed:064x}" for seed in seeds]})


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was computed: (view, photos)."""
    seen: list[tuple[int, int]] = []
    original = activations._compute

    def counted(some: pl.DataFrame, frozen: Embedding, view: tuple[int, Recipe], *rest: object) -> None:
        seen.append((view[0], some.height))
        original(some, frozen, view, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(activations, "_compute", counted)
    return seen


def test_they_are_what_torch_computes(
    frozen_blocks: torch.nn.Module, frozen: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "_PART_BYTES", 1)  # several parts
    some = photos(*range(40))
    found = activations_of(some, frozen, 2, LIGHT, Store(workspace, LIMIT, silent))
    assert (found.shape, len(found.parts)) == ((192, 2, 2), 6)
    view_B, photo_B = np.array([0, 1, 1, 0]), np.array([39, 3, 17, 3])
    jpegs = some["jpeg"].to_list()
    wanted = zip(view_B.tolist(), photo_B.tolist(), strict=True)
    batch = np.stack([view(jpegs[photo], HOW, number, LIGHT) for number, photo in wanted])
    with torch.inference_mode():
        direct = Embedder(frozen_blocks, HOW).eval()(torch.from_numpy(batch)).numpy()
    taken = found.take(view_B, photo_B)
    assert taken.dtype == np.float16
    np.testing.assert_allclose(taken, direct, atol=2e-3 * np.abs(direct).max())
    assert n_bytes(1, 1, found.shape) == taken[0].nbytes


def test_only_new_photos_and_views_are_computed(
    frozen: Embedding, workspace: Workspace, computed: list[tuple[int, int]]
) -> None:
    first = activations_of(photos(1, 2, 3, 3), frozen, 1, LIGHT, Store(workspace, LIMIT, silent))
    again = activations_of(photos(4, 3, 2), frozen, 2, LIGHT, Store(workspace, LIMIT, silent))
    assert computed == [(0, 3), (0, 1), (1, 3)]
    zero = np.zeros(2, np.int64)
    np.testing.assert_array_equal(first.take(zero, np.array([1, 2])), again.take(zero, np.array([2, 1])))


def test_what_a_crash_or_a_bad_disk_left_is_computed_again(
    frozen: Embedding, workspace: Workspace, computed: list[tuple[int, int]]
) -> None:
    first = activations_of(photos(1, 2), frozen, 1, LIGHT, Store(workspace, LIMIT, silent))
    (part,) = workspace.cache("activations").glob("*/*.npy")
    part.write_bytes(part.read_bytes()[:100])
    zero, both = np.zeros(2, np.int64), np.arange(2)
    before = np.asarray(
        activations_of(photos(1, 2), frozen, 1, LIGHT, Store(workspace, LIMIT, silent)).take(zero, both)
    )
    part.with_suffix(".keys").unlink()
    after = activations_of(photos(1, 2), frozen, 1, LIGHT, Store(workspace, LIMIT, silent)).take(zero, both)
    assert computed == [(0, 2)] * 3
    np.testing.assert_array_equal(before, after)
    del first


def test_a_part_that_cannot_be_read_for_a_moment_is_read_again_or_named(
    frozen: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, zero, both = Store(workspace, LIMIT, silent), np.zeros(2, np.int64), np.arange(2)
    first = np.array(activations_of(photos(1, 2), frozen, 1, LIGHT, store).take(zero, both))
    load, n_calls, n_named = np.load, 0, 0
    for nth in range(1, 20):
        n_calls = 0

        def but_the_nth(*asked: Any, nth: int = nth, **more: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            if n_calls == nth:
                raise OSError(errno.EIO, "Input/output error")
            return load(*asked, **more)

        monkeypatch.setattr(np, "load", but_the_nth)
        try:
            found = activations_of(photos(1, 2), frozen, 1, LIGHT, store)
        except OSError as error:
            assert str(error.filename).endswith(".npy")
            n_named += 1
            continue
        np.testing.assert_array_equal(found.take(zero, both), first)
        if n_calls < nth:
            break
    assert (nth, n_named) == (4, 1)


def test_a_disk_that_takes_nothing_any_more_can_still_be_read(
    frozen: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    activations_of(photos(1, 2), frozen, 1, LIGHT, Store(workspace, LIMIT, silent))
    monkeypatch.setattr(os, "utime", refused)
    assert activations_of(photos(1, 2), frozen, 1, LIGHT, Store(workspace, LIMIT, silent)).shape


def test_bit_rot_is_computed_again(frozen: Embedding, workspace: Workspace, computed: list[tuple[int, int]]) -> None:
    store, zero, both = Store(workspace, LIMIT, silent), np.zeros(2, np.int64), np.arange(2)
    first = np.array(activations_of(photos(1, 2), frozen, 1, LIGHT, store).take(zero, both))
    (part,) = workspace.cache("activations").glob("*/*.npy")
    files = {path: path.read_bytes() for path in (part, part.with_suffix(".keys"))}
    draw = random.Random(8)

    def lay(spoilt: dict[Path, bytes]) -> None:
        for file in part.parent.iterdir():
            file.unlink()
        for path, data in (files | spoilt).items():
            path.write_bytes(data)

    for path in [*files] * 3:
        at, data = draw.randrange(len(files[path])), files[path]
        lay({path: data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]})
        again = activations_of(photos(1, 2), frozen, 1, LIGHT, store).take(zero, both)
        np.testing.assert_array_equal(again, first)
    assert len(computed) == 7
    lay(dict.fromkeys(files, b""))
    assert n_lacking(copy_keys(photos(1, 2)["jpeg"]), frozen, 0, LIGHT, workspace) == 2


def test_a_later_cut_goes_on_from_an_earlier_one(
    frozen_blocks: torch.nn.Sequential, frozen: Embedding, workspace: Workspace, computed: list[tuple[int, int]]
) -> None:
    base = embedding_of("efficientnet_lite0[:-6]", frozen_blocks[:-3], HOW, workspace)
    later = onward(base, "efficientnet_lite0[-6:-3]", frozen_blocks[-3:], shape_of(base), workspace)
    assert shape_of(later) == shape_of(frozen)
    store, some, places = Store(workspace, LIMIT, silent), photos(*range(20)), np.arange(20)
    found = activations_of(some, later, 2, LIGHT, store).take(np.ones_like(places), places)
    assert computed == [(0, 20), (1, 20)] * 2  # the base, then what goes on from it
    direct = activations_of(some, frozen, 2, LIGHT, store).take(np.ones_like(places), places)
    np.testing.assert_allclose(found, direct, atol=5e-3 * np.abs(direct).max())
    assert not np.array_equal(found, direct)  # kept apart: a run must not depend on what the cache happens to hold
    row = some.select("jpeg", "sha256").row(7)
    np.testing.assert_array_equal(anew(open_graphs(later), row, HOW, (1, LIGHT))[0], found[7])


def test_room_for_an_earlier_cut_is_not_made_of_the_later_one(
    frozen_blocks: torch.nn.Sequential, workspace: Workspace
) -> None:
    base = embedding_of("efficientnet_lite0[:-6]", frozen_blocks[:-3], HOW, workspace)
    later = onward(base, "efficientnet_lite0[-6:-3]", frozen_blocks[-3:], shape_of(base), workspace)
    few, all_of_them = photos(*range(4)), photos(*range(5))
    activations_of(few, later, 1, LIGHT, Store(workspace, LIMIT, silent))
    root = workspace.cache("activations")
    sizes = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in root.iterdir()}
    for folder in root.iterdir():
        os.utime(folder, (1, 1))
    # The base of one more photo would fit in the place of the later cut, which is asked for as well.
    base_bytes, later_bytes = max(sizes.values()), min(sizes.values())
    assert base_bytes / 4 < later_bytes
    limit = sum(sizes.values()) + base_bytes // 8
    with pytest.raises(NoRoom):
        activations_of(all_of_them, later, 1, LIGHT, Store(workspace, limit, silent))
    assert set(root.iterdir()) == set(sizes)


def test_the_least_recently_used_go_first(
    frozen_blocks: torch.nn.Module, frozen: Embedding, workspace: Workspace, computed: list[tuple[int, int]]
) -> None:
    other = embedding_of("other", frozen_blocks, HOW, workspace)
    third = embedding_of("third", frozen_blocks, HOW, workspace)
    some, size = photos(1, 2), n_bytes(2, 1, (192, 2, 2))
    limit = size * 5 // 2
    for number, each in enumerate((frozen, other)):
        activations_of(some, each, 1, LIGHT, Store(workspace, limit, silent))
        for folder in workspace.cache("activations").iterdir():
            os.utime(folder, (number, number))
    activations_of(some, frozen, 1, LIGHT, Store(workspace, limit, silent))  # used again: now `other` is the oldest
    activations_of(some, third, 1, LIGHT, Store(workspace, limit, silent))
    assert len(computed) == 3
    activations_of(some, frozen, 1, LIGHT, Store(workspace, limit, silent))
    assert len(computed) == 3
    activations_of(some, other, 1, LIGHT, Store(workspace, limit, silent))
    assert len(computed) == 4


def test_more_than_the_limit_or_the_disk_can_take_is_refused(
    frozen: Embedding, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoRoom, match=r"1\.5 kB are more than the limit of 0\.0 kB"):
        activations_of(photos(1), frozen, 1, LIGHT, Store(workspace, 0, silent))
    monkeypatch.setattr("fledged.embedding.room._SPARE_BYTES", 2**60)
    with pytest.raises(NoRoom, match=r"the disk has no room for 1\.5 kB, only for 0\.0 kB"):
        activations_of(photos(1), frozen, 1, LIGHT, Store(workspace, LIMIT, silent))


def test_half_precision_never_makes_infinite() -> None:
    assert np.isfinite(activations.half(np.array([1e9, -1e9], np.float32))).all()
