"""Turns and grids: where each pixel comes from."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.augmenting.warps import distort_grid, turn


def dotted(row: int, column: int, height: int = 41, width: int = 61) -> torch.Tensor:
    """Black, with one white pixel."""
    image = torch.zeros((3, height, width), dtype=torch.uint8)
    image[:, row, column] = 255
    return image


def place(image: torch.Tensor) -> tuple[int, int]:
    """Row and column of the brightest pixel."""
    row, column = np.unravel_index(int(image[0].argmax()), image.shape[1:])
    return int(row), int(column)


def test_a_turn_is_counter_clockwise_about_the_middle_in_pixels_even_where_the_photo_is_no_square() -> None:
    assert place(turn(dotted(20, 30), 33)) == (20, 30)
    assert place(turn(dotted(20, 40), 90)) == (10, 30)  # from the right of the middle to above it
    assert place(turn(dotted(10, 30), 180)) == (30, 30)


def test_a_shift_is_a_share_of_each_side_and_a_zoom_enlarges() -> None:
    assert place(turn(dotted(20, 30), 0, 1, (10 / 61, 5 / 41))) == (25, 40)
    assert place(turn(dotted(20, 35), 0, 2)) == (20, 40)


def test_what_comes_into_view_is_the_photo_mirrored() -> None:
    shifted = turn(dotted(20, 3), 0, 1, (10 / 61, 0))
    assert shifted[0, 20, [6, 13]].tolist() == [255, 255]


@settings(max_examples=40, deadline=None)
@given(st.floats(-180, 180), st.integers(1, 40), st.integers(1, 40))
def test_an_even_photo_stays_even(degrees: float, height: int, width: int) -> None:
    image = torch.full((3, height, width), 77, dtype=torch.uint8)
    assert (turn(image, degrees, 0.7, (0.3, -0.6)) == 77).all()


def test_a_wider_column_shows_more_of_the_photo() -> None:
    ramp = torch.arange(100, dtype=torch.uint8).expand(3, 8, 100)
    even = np.ones(2)
    assert torch.equal(distort_grid(ramp, even, even), ramp)
    row = distort_grid(ramp, np.array([3.0, 1.0]), even)[0, 0]
    assert abs(int(row[49]) - 74) <= 1  # three quarters of the photo are in the left half
    assert (int(row[0]), int(row[-1])) == (0, 99)
    assert (row[1:] >= row[:-1]).all()
