"""Which photos an epoch shows: each once, or every class equally often."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.drawing import draw_photo
from fledged import images
from fledged.augmenting.views import view
from fledged.fitting.batches import FeatureBatches, PhotoBatches, draw, showings
from fledged.products import Preprocess
from fledged.recipes import PRESETS

some_labels = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(lambda labels: np.array(labels, dtype=np.int64))


@settings(max_examples=100, deadline=None)
@given(labels=some_labels, seed=st.integers(0, 9))
def test_unbalanced_epochs_show_each_photo_once(labels: np.ndarray, seed: int) -> None:
    drawn = draw(labels, False, np.random.default_rng(seed))
    assert sorted(drawn) == list(range(len(labels)))


@settings(max_examples=100, deadline=None)
@given(labels=some_labels, seed=st.integers(0, 9))
def test_balanced_epochs_show_classes_equally_often_and_photos_of_a_class_too(labels: np.ndarray, seed: int) -> None:
    drawn = draw(labels, True, np.random.default_rng(seed))
    assert len(drawn) == len(labels)
    of_class = Counter(labels[drawn].tolist())
    assert max(of_class.values()) - min(of_class.get(label, 0) for label in set(labels.tolist())) <= 1
    times = Counter(drawn.tolist())
    for label in set(labels.tolist()):
        of_photos = [times[photo] for photo in np.flatnonzero(labels == label).tolist()]
        assert max(of_photos) - min(of_photos) <= 1


def test_over_many_epochs_a_large_class_shows_all_of_its_photos() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    batches = FeatureBatches(torch.arange(100.0).reshape(1, 100, 1), labels, 20, 0, shuffle=True, balanced=True)
    seen: Counter[int] = Counter()
    for epoch in range(1, 31):
        for features, _ in batches(epoch):
            seen.update(int(value) for value in features[:, 0])
    assert len(seen) == 100
    assert sum(n for photo, n in seen.items() if photo >= 90) == 30 * 50
    assert batches.per_epoch == 5
    assert [len(of) for _, of in batches(1)] == [20] * 5


def test_validation_is_never_balanced() -> None:
    labels = torch.tensor([0] * 9 + [1])
    batches = FeatureBatches(torch.arange(10.0).reshape(1, 10, 1), labels, 4, 0, shuffle=False, balanced=True)
    assert torch.cat([of for _, of in batches(1)]).tolist() == labels.tolist()


def test_photos_that_are_shown_several_times_are_shown_in_several_views() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    views_KNF = torch.arange(4.0)[:, None, None].expand(4, 100, 1)
    batches = FeatureBatches(views_KNF, labels, 100, 0, shuffle=True, balanced=True)
    ((features, of),) = batches(1)
    assert set(features[of == 1].flatten().tolist()) == {0, 1, 2, 3}
    order = np.array([3, 1, 3, 0, 3, 1])
    assert showings(order).tolist() == [0, 0, 1, 0, 2, 1]


@given(some_labels, st.integers(0, 9))
def test_showings_count_up_for_each_photo(labels: np.ndarray, seed: int) -> None:
    order = draw(labels, True, np.random.default_rng(seed))
    seen: Counter[int] = Counter()
    for photo, before in zip(order.tolist(), showings(order).tolist(), strict=True):
        assert before == seen[photo]
        seen[photo] += 1


def test_balanced_photos_are_other_views_each_time() -> None:
    jpegs = [images.to_jpeg(draw_photo("flying_bird", seed, (80, 64)), 90) for seed in range(5)]
    photos = pl.DataFrame({"jpeg": jpegs, "sha256": ["a", "b", "c", "d", "e"], "label": [0, 0, 0, 0, 1]})
    how, recipe = Preprocess(size_px=32), PRESETS["light"]
    batches = PhotoBatches(photos, how, batch_size=5, seed=1, augment=True, balanced=True, recipe=recipe)
    ((batch_NHWC, labels_N),) = batches(1)
    rare = batch_NHWC[labels_N == 1]
    assert len(rare) >= 2
    assert len({bytes(photo.numpy().tobytes()) for photo in rare}) == len(rare)


def test_an_epoch_shows_its_view_of_each_photo_by_the_recipe() -> None:
    jpegs = [images.to_jpeg(draw_photo("flying_bird", seed, (80, 64)), 90) for seed in range(5)]
    sha256s = [hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs]
    photos = pl.DataFrame({"jpeg": jpegs, "sha256": sha256s, "label": [0, 1, 2, 3, 4]})
    how, recipe = Preprocess(size_px=64), PRESETS["crop_rotate"]
    batches = PhotoBatches(photos, how, batch_size=2, seed=0, augment=True, recipe=recipe)
    for epoch in (1, 2):
        for batch_NHWC, labels_N in batches(epoch):
            for photo, label in zip(batch_NHWC.numpy(), labels_N.tolist(), strict=True):
                np.testing.assert_array_equal(photo, view(jpegs[label], how, epoch, recipe))
