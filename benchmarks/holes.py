"""Candidates for what missing squares of a photo are filled with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from fledged.images import UInt8Array
from fledged.networks.filling import edges, filled

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Filling = Callable[[UInt8Array, Bools], UInt8Array]  # a photo and its missing squares (N, K, K) to (N, S, S, 3)

_NOISE = 2.55  # grey levels: that of the paper, 0.01 of the range


def _mean_colour(photo: UInt8Array, gone_NKK: Bools) -> UInt8Array:
    return _pasted(photo, np.broadcast_to(photo.mean((0, 1)), photo.shape), gone_NKK)


def _blurred(sigma_px: float) -> Filling:
    """R. C. Fong and A. Vedaldi, "Interpretable Explanations of Black Boxes by Meaningful Perturbation", ICCV 2017."""

    def fill(photo: UInt8Array, gone_NKK: Bools) -> UInt8Array:
        sigma = sigma_px * len(photo) / 224
        return _pasted(photo, gaussian_filter(photo.astype(float), (sigma, sigma, 0), mode="nearest"), gone_NKK)

    return fill


def _noisy(photo: UInt8Array, gone_NKK: Bools) -> UInt8Array:
    noise = np.random.default_rng(0).normal(0, _NOISE, photo.shape)
    linear = filled(photo, gone_NKK)
    return np.stack([_pasted(photo, one + noise, gone[None])[0] for one, gone in zip(linear, gone_NKK, strict=True)])


def _pasted(photo: UInt8Array, other: Array, gone_NKK: Bools) -> UInt8Array:
    square = np.digitize(np.arange(len(photo)), edges(len(photo), gone_NKK.shape[1])[1:-1])
    hole = gone_NKK[:, square][:, :, square][..., None]
    return np.where(hole, other.round().clip(0, 255), photo).astype(np.uint8)


FILLINGS: dict[str, Filling] = {
    "the photo's mean colour": _mean_colour,
    "the photo, blurred (10 px)": _blurred(10),
    "the photo, blurred (20 px)": _blurred(20),
    "linear": filled,
    "linear, with noise": _noisy,
}
