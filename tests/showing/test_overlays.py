"""A heatmap lies over what the network saw, pixel on pixel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fledged.products import Preprocess
from fledged.showing.overlays import framed, overlay


def test_heat_is_where_it_is_and_cold_is_dim_grey() -> None:
    photo = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    heat = np.zeros((32, 32), np.float32)
    heat[5, 20] = 1
    made = np.asarray(overlay(photo, heat)).astype(int)
    assert made.shape == photo.shape
    assert (made[0, 0] == made[0, 0, 0]).all()
    assert made[5, 20].sum() > made[0, 0].sum() * 2
    changed = np.argwhere((made != made[0, 0]).any(axis=2))
    assert changed.tolist() == [[5, 20]]


def test_hotter_is_lighter() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    light = np.asarray(overlay(np.full((64, 64, 3), 60, np.uint8), ramp).convert("L")).astype(int)[0]
    assert (np.diff(light) >= -1).all()
    assert light[-1] > light[0] + 100


@pytest.mark.parametrize(
    ("size", "how", "seen"),
    [
        ((80, 40), Preprocess(), (20, 0, 60, 40)),
        ((40, 80), Preprocess(crop_fraction=0.5), (10, 30, 30, 50)),
        ((80, 40), Preprocess(resize="squash"), (0, 0, 80, 40)),
        ((80, 40), Preprocess(resize="pad"), (0, 0, 80, 40)),
    ],
)
def test_what_was_not_seen_is_dark(size: tuple[int, int], how: Preprocess, seen: tuple[int, int, int, int]) -> None:
    made = np.asarray(framed(Image.new("RGB", size, (200, 200, 200)), how, 80)).astype(int)
    assert made.shape == (size[1], size[0], 3)
    bright = np.zeros(made.shape[:2], bool)
    bright[seen[1] : seen[3], seen[0] : seen[2]] = True
    dark = (made == 80).all(axis=2)
    assert (dark == ~bright).all()
    left, top, right, bottom = seen
    inside = made[top + 2 : bottom - 2, left + 2 : right - 2]  # within the frame's line
    assert (inside == 200).all()
