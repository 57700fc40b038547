"""Holes are filled by what lies around them, as the formula says, and by nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from fledged.networks.filling import edges, filled

UInt8Array = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


def noise(side: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def some(share: float, seed: int = 1) -> Bools:
    return np.random.default_rng(seed).random((14, 14)) < share


def as_pixels(gone: Bools, side: int) -> Bools:
    sizes = np.diff(edges(side, 14))
    return gone.repeat(sizes, axis=0).repeat(sizes, axis=1)


def asked_of_neighbours(photo: UInt8Array, gone: Bools) -> npt.NDArray[np.float64]:
    """Each missing pixel set to the mean of those of its eight neighbours that exist, until nothing changes."""
    values = np.where(gone[..., None], 128.0, photo)
    weights = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    for _ in range(3000):
        before = values.copy()
        for row, column in np.argwhere(gone):
            there = (slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2))
            of_it = weights[there[0].start - row + 1 :, there[1].start - column + 1 :]
            near = values[there]
            of_it = of_it[: len(near), : near.shape[1], None]
            values[row, column] = (near * of_it).sum((0, 1)) / of_it.sum()
        if np.abs(values - before).max() < 1e-6:
            break
    return values


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_each_missing_pixel_is_what_its_neighbours_say(share: float) -> None:
    photo, gone = noise(14), some(share)
    gone[0, :3] = gone[:2, 0] = True  # a corner, which has fewer neighbours
    np.testing.assert_allclose(filled(photo, gone[None])[0], asked_of_neighbours(photo, gone), atol=0.5 + 1e-3)


@pytest.mark.parametrize("side", [224, 160, 100])
def test_what_rises_evenly_is_found_again(side: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 240, side)[:, None, None], (side, side, 3)).round().astype(np.uint8)
    gone = np.zeros((14, 14), np.bool_)
    gone[3:9, 4:11] = True
    np.testing.assert_allclose(filled(ramp, gone[None])[0].astype(int), ramp, atol=2)


@pytest.mark.parametrize("side", [224, 160, 100, 14])
def test_what_was_taken_out_does_not_speak_and_what_is_left_stays(side: int) -> None:
    gone = some(0.5)
    hole = as_pixels(gone, side)
    one = noise(side)
    other = np.where(hole[..., None], 255 - one, one)
    of_one, of_other = filled(one, gone[None])[0], filled(other, gone[None])[0]
    np.testing.assert_array_equal(of_one, of_other)
    np.testing.assert_array_equal(of_one[~hole], one[~hole])
    assert (
        np.abs(np.diff(of_one[hole].astype(int), axis=0)).mean()
        < 0.3 * np.abs(np.diff(one[hole].astype(int), axis=0)).mean()
    )


def test_nothing_taken_out_and_all() -> None:
    photo = noise(56)
    untouched, empty = filled(photo, np.stack([some(0), some(1)]))
    np.testing.assert_array_equal(untouched, photo)
    assert empty.dtype == np.uint8
    np.testing.assert_allclose(empty, np.broadcast_to(photo.mean((0, 1)), photo.shape), atol=0.51)
