"""Whether a heatmap points at what the network goes by: what is left of an answer when the hottest parts are taken out.

V. Petsiuk, A. Das and K. Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018.
Squares are taken out, and not pixels: holes of one pixel trouble a network wherever they are. What is taken out is
filled as its surroundings would have it: holes of one colour trouble a network by their edges.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fledged.networks.filling import edges, filled

Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
Probabilities = Callable[[UInt8Array], Float32Array]

_ALONG_A_SIDE = 14  # squares: half of a cell of the last map of most networks
N_STEPS = 10


def hottest_first(heat_SS: Float32Array) -> npt.NDArray[np.int64]:
    """The squares of a photo, by the heat in them."""
    cuts = edges(len(heat_SS), _ALONG_A_SIDE)
    sums = np.add.reduceat(np.add.reduceat(heat_SS, cuts[:-1], axis=0), cuts[:-1], axis=1)
    areas = np.outer(np.diff(cuts), np.diff(cuts))
    return np.argsort(-(sums / areas).ravel(), kind="stable")


def at_random(seed: int) -> npt.NDArray[np.int64]:
    """The squares of a photo in random order."""
    return np.random.default_rng(seed).permutation(_ALONG_A_SIDE**2)


def elsewhere(heat_SS: Float32Array, seed: int) -> Float32Array:
    """The same heat moved by a random way, round the edges: holes of the same shapes at another place.

    Compared with it a map is judged by where it points. Scattered squares trouble a network more by themselves.
    """
    side = len(heat_SS)
    # A quarter of the side at least: what is moved by less lies where it was.
    down, right = np.random.default_rng(seed).integers(side // 4, side - side // 4, 2)
    return np.roll(heat_SS, (int(down), int(right)), (0, 1))


def taken_out(order: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(11, 14, 14): the squares that are gone when 0, 10, … 100% of them are, in this order."""
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    gone = rank < np.linspace(0, len(order), N_STEPS + 1)[:, None]
    return gone.reshape(-1, _ALONG_A_SIDE, _ALONG_A_SIDE)


def curve(
    probabilities: Probabilities, photo_SSC: UInt8Array, order: npt.NDArray[np.int64], class_index: int
) -> Float32Array:
    """The probability of a class with 0, 10, … 100% of the squares taken out, in this order."""
    batch = filled(photo_SSC, taken_out(order))
    taken: Float32Array = probabilities(batch)[:, class_index]
    return taken


def area(curve_of_a_class: Float32Array) -> float:
    """Under the curve, 0..1: the smaller, the better the order."""
    return float(np.trapezoid(curve_of_a_class, dx=1 / (len(curve_of_a_class) - 1)))
