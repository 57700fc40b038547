"""The colours of a dataset: mean and standard deviation of each channel, over the pixels that the network is shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from fledged import engine, images
from fledged.augmenting import views
from fledged.fitting.batches import read_split
from fledged.products import Dataset, Preprocess

_LEVELS = np.arange(256)
_LEAST_STD = 1 / 255  # photos of one colour have none to divide by

Colour = tuple[float, float, float]


def colours_of(dataset: Dataset, how: Preprocess) -> tuple[Colour, Colour]:
    """Mean and standard deviation (0..1) of red, green and blue over all pixels of the training photos, as served.

    Counted in whole numbers, so that neither the order of the photos nor the number of threads takes part.
    """
    with ThreadPoolExecutor(engine.n_workers(0), initializer=views.alone) as pool:
        counts = pool.map(lambda jpeg: _levels(jpeg, how), read_split(dataset, "train")["jpeg"])
        total = np.sum(list(counts), axis=0)
    n_pixels = total.sum(1)
    mean = total @ _LEVELS / n_pixels
    std = np.sqrt(np.maximum(total @ _LEVELS**2 / n_pixels - mean**2, 0))
    return _colour(mean / 255), _colour(np.maximum(std / 255, _LEAST_STD))


def _levels(jpeg: bytes, how: Preprocess) -> npt.NDArray[np.int64]:
    """How many pixels have each level (3, 256)."""
    pixels = images.model_input(jpeg, how)
    return np.stack([np.bincount(pixels[:, :, channel].ravel(), minlength=256) for channel in range(3)])


def _colour(values: npt.NDArray[np.float64]) -> Colour:
    red, green, blue = values.tolist()
    return red, green, blue
