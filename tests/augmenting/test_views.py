"""Views are decided by the photo and the number alone."""

from __future__ import annotations

import hashlib
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from demo.drawing import draw_photo
from fledged import images
from fledged.augmenting.views import key, view
from fledged.products import Preprocess
from fledged.recipes import PRESETS, Preset, Recipe, Rotate
from tests.preloaded import python

HOW = Preprocess(size_px=64)
JPEG = images.to_jpeg(draw_photo("flying_bird", 1, (160, 120)), 90)


@pytest.mark.parametrize("recipe", PRESETS.values(), ids=PRESETS)
def test_view_0_is_what_serving_sees(recipe: Recipe) -> None:
    assert np.array_equal(view(JPEG, HOW, 0, recipe), images.model_input(JPEG, HOW))


def test_without_augmentation_every_view_is_what_serving_sees() -> None:
    assert np.array_equal(view(JPEG, HOW, 5, ()), images.model_input(JPEG, HOW))
    assert key(5, ()) == key(0, ()) == key(0, PRESETS["light"])


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("preset", ["light", "crop_rotate", "crop_rotate_cutout"])
def test_a_view_is_the_same_every_time_and_differs_from_others(number: int, preset: Preset) -> None:
    recipe = PRESETS[preset]
    first = view(JPEG, HOW, number, recipe)
    assert np.array_equal(first, view(JPEG, HOW, number, recipe))
    assert not np.array_equal(first, view(JPEG, HOW, number + 1, recipe))
    assert key(number, recipe) != key(number + 1, recipe)


def test_a_view_is_the_same_in_another_process_whatever_the_global_random_state() -> None:
    code = (
        "import hashlib, sys, torch, numpy; torch.manual_seed(9); numpy.random.seed(9); torch.set_num_threads(1)\n"
        "from fledged.products import Preprocess; from fledged.recipes import PRESETS\n"
        "from fledged.augmenting.views import view\n"
        "jpeg = sys.stdin.buffer.read()\n"
        "for recipe in reversed(PRESETS.values()):\n"
        "    print(hashlib.sha256(view(jpeg, Preprocess(size_px=64), 3, recipe).tobytes()).hexdigest())\n"
    )
    done = subprocess.run([*python(), "-c", code], input=JPEG, capture_output=True, check=True)
    here = [hashlib.sha256(view(JPEG, HOW, 3, recipe).tobytes()).hexdigest() for recipe in PRESETS.values()]
    assert done.stdout.decode().split() == here[::-1]


def test_every_step_and_setting_of_a_recipe_is_in_the_key() -> None:
    keys = {str(key(1, recipe)) for recipe in PRESETS.values()}
    assert len(keys) == len(PRESETS)
    assert key(1, (Rotate(degrees=10),)) != key(1, (Rotate(degrees=11),))


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    number=st.integers(0, 50),
    recipe=st.sampled_from(list(PRESETS.values())),
)
def test_any_photo_has_every_view(width: int, height: int, number: int, recipe: Recipe) -> None:
    jpeg = images.to_jpeg(Image.new("RGB", (width, height), (9, 99, 199)), 90)
    square = view(jpeg, HOW, number, recipe)
    assert square.shape == (64, 64, 3)
    assert square.dtype == np.uint8
    assert square.flags.c_contiguous
