"""Deletion curves, against what they must be for a network that is known."""

from __future__ import annotations

import numpy as np
import pytest

from fledged.networks.deletion import N_STEPS, area, at_random, curve, elsewhere, hottest_first


def brightness(
    batch: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Two classes: how much of the photo is white, and the rest."""
    share = (batch.reshape(len(batch), -1, 3).min(axis=2) > 250).mean(axis=1)
    return np.stack([share, 1 - share], axis=1).astype(np.float32)


def half_striped(side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """White stripes of one pixel on the left, which no filling brings back."""
    photo = np.zeros((side, side, 3), np.uint8)
    photo[:, : side // 2 : 2] = 255
    return photo


@pytest.mark.parametrize("side", [224, 100])
def test_the_hottest_squares_go_first(side: int) -> None:
    photo = half_striped(side)
    heat = np.zeros((side, side), np.float32)
    heat[:, : side // 2] = 1
    left = curve(brightness, photo, hottest_first(heat), 0)
    assert len(left) == N_STEPS + 1
    assert left[0] == pytest.approx(0.25)
    np.testing.assert_allclose(left[:6], np.linspace(0.25, 0, 6), atol=0.02)
    assert not left[5:].any()
    coldest_first = curve(brightness, photo, hottest_first(1 - heat), 0)
    np.testing.assert_allclose(coldest_first[:6], 0.25, atol=0.01)
    assert area(left) < area(curve(brightness, photo, at_random(0), 0)) < area(coldest_first)


def test_in_the_end_nothing_is_left_but_the_mean_colour() -> None:
    seen = []

    def look(
        batch: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        seen.append(batch)
        return brightness(batch)

    photo = half_striped(64)
    curve(look, photo, at_random(3), 1)
    assert np.array_equal(seen[0][0], photo)
    assert (seen[0][-1] == 64).all()


def test_the_area_is_a_mean() -> None:
    assert area(np.ones(11, np.float32)) == pytest.approx(1)
    assert area(np.linspace(1, 0, 11, dtype=np.float32)) == pytest.approx(0.5)
    assert sorted(at_random(1).tolist()) == list(range(14**2))
    assert at_random(1).tolist() != at_random(2).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_same_heat_lies_elsewhere_and_says_less(seed: int) -> None:
    heat = np.zeros((64, 64), np.float32)
    heat[20:44, 20:44] = 1
    moved = elsewhere(heat, seed)
    assert sorted(moved.ravel()) == sorted(heat.ravel())
    assert (moved * heat).sum() < 0.6 * heat.sum()
    photo = np.repeat((heat * 255).astype(np.uint8)[..., None], 3, axis=2)
    left = [area(curve(brightness, photo, hottest_first(of), 0)) for of in (heat, moved)]
    assert left[0] < left[1]
