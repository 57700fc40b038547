"""Each step does what it says, and any recipe gives a model input of the same size from any photo."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.drawing import draw_photo
from fledged import images, recipes
from fledged.augmenting import views
from fledged.augmenting.augment import GREY, augmented
from fledged.products import Preprocess
from fledged.recipes import PRESETS, Recipe

HOW = Preprocess(size_px=64)
MODES = get_args(Preprocess.model_fields["resize"].annotation)
# Squares of the model's size, which no step has to resize.
SQUARE = torch.from_numpy(np.asarray(draw_photo("flying_bird", 3, (64, 64))).copy()).permute(2, 0, 1)

chances: dict[str, Any] = {"p": st.floats(0, 1)}
some_steps = st.one_of(
    st.builds(recipes.Resize, scale=st.floats(0.25, 2), by=st.sampled_from(("serving", "squash"))),
    st.builds(
        recipes.RandomResizedCrop,
        area=st.tuples(st.floats(0, 0.5), st.floats(0.5, 1)),
        stretch=st.floats(1, 4),
        scale=st.floats(0.25, 2),
        **chances,
    ),
    st.builds(recipes.CenterCrop, scale=st.floats(0.25, 2)),
    st.builds(recipes.LongestSidePad, scale=st.floats(0.25, 2)),
    st.builds(recipes.HorizontalFlip, **chances),
    st.builds(recipes.Rotate, degrees=st.floats(0, 180), **chances),
    st.builds(recipes.ShiftScaleRotate, shift=st.floats(0, 1), scale=st.floats(0, 0.9), **chances),
    st.builds(recipes.RandomRotate90, **chances),
    st.builds(recipes.GridDistortion, cells=st.integers(2, 32), distort=st.floats(0, 0.9), **chances),
    st.builds(recipes.Cutout, holes=st.integers(1, 9), size=st.floats(0.001, 1), **chances),
    st.builds(recipes.BrightnessContrast, brightness=st.floats(0, 1), contrast=st.floats(0, 1), **chances),
    st.builds(recipes.HueSaturationValue, hue=st.floats(0, 0.5), **chances),
    st.builds(recipes.RGBShift, shift=st.floats(0, 1), **chances),
)


def after(image: torch.Tensor, *recipe: Any, seed: int = 0, how: Preprocess = HOW) -> np.ndarray:
    """The image (S, S, 3) after these steps."""
    return augmented(image, recipe, how, np.random.default_rng(seed)).permute(1, 2, 0).numpy()


@settings(max_examples=150, deadline=None)
@given(
    recipe=st.lists(some_steps, max_size=5).map(tuple),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    resize=st.sampled_from(MODES),
    seed=st.integers(0, 99),
)
def test_any_steps_in_any_order_give_a_model_input(
    recipe: Recipe, height: int, width: int, resize: Any, seed: int
) -> None:
    image = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).permute(
        2, 0, 1
    )
    before = image.clone()
    how = Preprocess(size_px=48, resize=resize)
    first = after(image, *recipe, seed=seed, how=how)
    assert first.shape == (48, 48, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, after(image, *recipe, seed=seed, how=how))
    assert torch.equal(image, before)


def test_every_preset_changes_photos_but_none() -> None:
    for name, recipe in PRESETS.items():
        changed = any(not np.array_equal(after(SQUARE, *recipe, seed=seed), after(SQUARE)) for seed in range(5))
        assert changed == (name != "none"), name


@pytest.mark.parametrize("resize", MODES)
def test_resizing_as_in_serving_is_what_serving_does(resize: Any) -> None:
    photo = draw_photo("flying_bird", 3, (150, 100))
    how = Preprocess(size_px=64, resize=resize)
    mine = after(torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1), recipes.Resize(), how=how)
    served = images.to_square(photo, how)
    difference = np.abs(mine.astype(int) - served.astype(int))
    assert difference.mean() < 2  # another implementation of the same resampling; serving shrinks in two steps
    assert np.percentile(difference, 95) < 12


def test_a_flip_is_exact() -> None:
    flipped = after(SQUARE, recipes.HorizontalFlip(p=1))
    np.testing.assert_array_equal(flipped, after(SQUARE)[:, ::-1])
    np.testing.assert_array_equal(
        after(SQUARE, recipes.HorizontalFlip(p=1), recipes.HorizontalFlip(p=1)), after(SQUARE)
    )


@pytest.mark.parametrize(
    "step",
    [
        recipes.Rotate(degrees=0, p=1),
        recipes.ShiftScaleRotate(shift=0, scale=0, degrees=0, p=1),
        recipes.GridDistortion(distort=0, p=1),
        recipes.BrightnessContrast(brightness=0, contrast=0, p=1),
        recipes.RGBShift(shift=0, p=1),
        recipes.CenterCrop(),
        recipes.Resize(),
        recipes.LongestSidePad(),
        *(kind.model_validate({"p": 0}) for name, kind in recipes.STEPS.items() if "p" in kind.model_fields),
    ],
    ids=lambda step: str(step.step),
)
def test_a_step_that_does_nothing_changes_nothing(step: Any) -> None:
    np.testing.assert_array_equal(after(SQUARE, step), after(SQUARE))


def test_quarter_turns_are_exact() -> None:
    turned = {after(SQUARE, recipes.RandomRotate90(p=1), seed=seed).tobytes() for seed in range(40)}
    assert turned == {np.ascontiguousarray(np.rot90(after(SQUARE), k)).tobytes() for k in range(4)}


@settings(max_examples=60, deadline=None)
@given(size=st.floats(0.001, 1), seed=st.integers(0, 999))
def test_a_hole_is_whole_inside_and_grey(size: float, seed: int) -> None:
    white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    hole = (after(white, recipes.Cutout(holes=1, size=size, p=1), seed=seed) == GREY).all(axis=2)
    side = max(1, round(64 * size))
    assert hole.sum() == side**2
    assert (hole.any(axis=0).sum(), hole.any(axis=1).sum()) == (side, side)


def test_a_crop_shows_a_part_of_the_size_that_was_asked_for() -> None:
    ramp = torch.arange(200, dtype=torch.uint8).expand(3, 200, 200)
    for seed in range(20):
        row = after(ramp, recipes.RandomResizedCrop(area=(0.25, 0.25), stretch=1), seed=seed)[32, :, 0].astype(int)
        assert row[-1] - row[0] == pytest.approx(99 - 99 / 64, abs=3)


def test_what_a_turn_brings_into_view_is_the_photo_and_no_border() -> None:
    bright = torch.full((3, 64, 64), 200, dtype=torch.uint8)
    for seed in range(10):
        assert (after(bright, recipes.Rotate(degrees=45, p=1), seed=seed) == 200).all()
        assert (after(bright, recipes.ShiftScaleRotate(shift=0.5, scale=0.5, p=1), seed=seed) == 200).all()


def test_padding_shows_all_of_a_long_photo() -> None:
    long = torch.full((3, 20, 200), 255, dtype=torch.uint8)
    padded = after(long, recipes.LongestSidePad())
    assert (padded[29:35] == 255).all()
    assert (padded[:20] == GREY).all()
    assert (padded[-20:] == GREY).all()


def test_brightness_and_contrast_and_colours_move_as_they_are_asked_to() -> None:
    means = [
        after(SQUARE, recipes.BrightnessContrast(brightness=0.5, contrast=0, p=1), seed=s).mean() for s in range(30)
    ]
    assert min(means) < 0.8 * SQUARE.float().mean() < 1.2 * SQUARE.float().mean() < max(means) * 1.1
    grey = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    contrasted = after(grey, recipes.BrightnessContrast(brightness=0, contrast=1, p=1))
    assert (contrasted == 100).all()  # about the mean
    shifted = np.array([after(grey, recipes.RGBShift(shift=0.2, p=1), seed=s)[0, 0] for s in range(100)], int)
    assert (shifted.min(), shifted.max()) == (pytest.approx(49, abs=4), pytest.approx(151, abs=4))
    assert (shifted.std(axis=1) > 0).mean() > 0.9
    red = torch.tensor([200, 0, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 64, 64)
    hues = {tuple(after(red, recipes.HueSaturationValue(hue=0.5, p=1), seed=s)[0, 0]) for s in range(20)}
    assert len(hues) == 20


def test_views_are_the_same_on_any_number_of_threads() -> None:
    image = torch.from_numpy(np.asarray(draw_photo("flying_bird", 3, (400, 300))).copy()).permute(2, 0, 1)
    how = Preprocess(size_px=224)

    def all_presets(_: int = 0) -> list[bytes]:
        return [after(image, *recipe, seed=seed, how=how).tobytes() for recipe in PRESETS.values() for seed in (0, 1)]

    before = torch.get_num_threads()
    with ThreadPoolExecutor(3, initializer=views.alone) as pool:
        alone = list(pool.map(all_presets, range(3)))
        assert list(pool.map(lambda _: torch.get_num_threads(), range(3))) == [1, 1, 1]
    assert torch.get_num_threads() == before
    assert alone == [all_presets()] * 3
