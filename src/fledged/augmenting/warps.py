"""Images (3, H, W), uint8, seen through a bent grid.

What a turn or a shift brings into view from outside is the photo mirrored at its edge: corners of one colour would be
something that the network can learn from and that no served photo has.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional

FloatArray = npt.NDArray[np.float64]


def turn(
    image: torch.Tensor, degrees: float, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> torch.Tensor:
    """The image turned about its middle (counter-clockwise), enlarged, and moved by shares of its width and height."""
    if degrees == 0 and zoom == 1 and shift == (0, 0):
        return image
    _, height, width = image.shape
    x_W, y_H = _centres(width) - 2 * shift[0], _centres(height) - 2 * shift[1]
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    # Where each pixel of the result comes from, in halves of the width and of the height from the middle.
    from_x_HW = cos * x_W[None, :] - sin * height / width * y_H[:, None]
    from_y_HW = sin * width / height * x_W[None, :] + cos * y_H[:, None]
    return _sampled(image, from_x_HW, from_y_HW)


def distort_grid(image: torch.Tensor, columns: FloatArray, rows: FloatArray) -> torch.Tensor:
    """Equal columns and rows, of which each shows as much of the image as these numbers (> 0) are to each other."""
    _, height, width = image.shape
    x_W, y_H = (_stretched(_centres(n), parts) for n, parts in ((width, columns), (height, rows)))
    from_x_HW, from_y_HW = np.broadcast_arrays(x_W[None, :], y_H[:, None])
    return _sampled(image, from_x_HW, from_y_HW)


def _stretched(places: FloatArray, parts: FloatArray) -> FloatArray:
    """Places (-1..1) on an axis of equal parts, on the axis where the parts have these lengths."""
    ends = np.concatenate([[0], np.cumsum(parts)]) / np.sum(parts)
    return np.interp(places, np.linspace(-1, 1, len(ends)), 2 * ends - 1)


def _centres(n_px: int) -> FloatArray:
    """Of the pixels of an axis from -1 to 1."""
    return (2 * np.arange(n_px) + 1) / n_px - 1


def _sampled(image: torch.Tensor, from_x_HW: FloatArray, from_y_HW: FloatArray) -> torch.Tensor:
    grid_1HW2 = torch.from_numpy(np.stack([from_x_HW, from_y_HW], axis=-1, dtype=np.float32, casting="same_kind"))[None]
    sampled = torch.nn.functional.grid_sample(
        image[None].float(), grid_1HW2, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return sampled[0].round_().to(torch.uint8)
