"""Views are decided by the photo and the number alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from demo.drawing import draw_photo
from fledged import images
from fledged.products import Preprocess
from fledged.training.views import view

HOW = Preprocess(size_px=64)
JPEG = images.to_jpeg(draw_photo("flying_bird", 1, (160, 120)), 90)
SHA256 = hashlib.sha256(JPEG).hexdigest()


def test_view_0_is_what_serving_sees() -> None:
    assert np.array_equal(view(JPEG, SHA256, HOW, 0), images.model_input(JPEG, HOW))


@pytest.mark.parametrize("number", [1, 2, 7])
def test_a_view_is_the_same_every_time_and_differs_from_others(number: int) -> None:
    first = view(JPEG, SHA256, HOW, number)
    assert np.array_equal(first, view(JPEG, SHA256, HOW, number))
    assert not np.array_equal(first, view(JPEG, SHA256, HOW, number + 1))
    assert not np.array_equal(first, view(JPEG, "f" * 64, HOW, number))


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 200), number=st.integers(0, 50))
def test_any_photo_has_every_view(width: int, height: int, number: int) -> None:
    jpeg = images.to_jpeg(Image.new("RGB", (width, height), (9, 99, 199)), 90)
    square = view(jpeg, hashlib.sha256(jpeg).hexdigest(), HOW, number)
    assert square.shape == (64, 64, 3)
    assert square.dtype == np.uint8
