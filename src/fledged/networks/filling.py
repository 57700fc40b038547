"""Squares of a photo that are taken out, filled so that nothing but what lies around them speaks out of them.

Y. Rong, T. Leemann, V. Borisov, G. Kasneci and E. Kasneci, "A Consistent and Efficient Evaluation Strategy for
Attribution Methods", ICML 2022 (ROAD): each missing pixel is the mean of its eight neighbours, the direct ones weighted
twice, and neighbours may be missing themselves, which makes it a sparse linear system.

Shapes: N fillings of a photo of S x S pixels and K x K squares, solved for M x M cells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

Float64Array = npt.NDArray[np.float64]
UInt8Array = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

# Cells of 2 pixels at 224 px: pixels would take five times as long, and answers to the photos hardly differ.
_MOST_CELLS = 8  # along a square's side
_NEIGHBOURS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
_WEIGHTS = np.array([1 / 6 if 0 in offset else 1 / 12 for offset in _NEIGHBOURS])


def edges(side: int, n_parts: int) -> npt.NDArray[np.int64]:
    """Where the parts of a side begin and end, as equal as pixels allow."""
    return np.linspace(0, side, n_parts + 1).round().astype(np.int64)


def filled(photo_SSC: UInt8Array, gone_NKK: Bools) -> UInt8Array:
    """(N, S, S, 3): the photo with these squares taken out; of one colour, its mean, where nothing is left."""
    side, n_squares = len(photo_SSC), gone_NKK.shape[1]
    a_square = min(_MOST_CELLS, max(1, side // (2 * n_squares)))
    cuts = edges(side, n_squares * a_square)
    sums = np.add.reduceat(np.add.reduceat(photo_SSC.astype(np.float64), cuts[:-1], axis=0), cuts[:-1], axis=1)
    cells_MMC = sums / np.outer(np.diff(cuts), np.diff(cuts))[..., None]
    centres = (cuts[1:] + cuts[:-1] - 1) / 2
    between_SM = np.stack([np.interp(np.arange(side), centres, one) for one in np.eye(len(centres))], axis=1)
    square_S = np.digitize(np.arange(side), edges(side, n_squares)[1:-1])
    photos = []
    for gone_KK in gone_NKK:
        gone_MM = gone_KK.repeat(a_square, axis=0).repeat(a_square, axis=1)
        smooth_SSC = np.moveaxis(between_SM @ np.moveaxis(_solved(cells_MMC, gone_MM), 2, 0) @ between_SM.T, 0, 2)
        photos.append(np.where(gone_KK[np.ix_(square_S, square_S)][..., None], smooth_SSC.round(), photo_SSC))
    return np.stack(photos).astype(np.uint8)


def _solved(cells_MMC: Float64Array, gone_MM: Bools) -> Float64Array:
    """The cells, each missing one the mean of its neighbours; beyond the border there are none."""
    solved_MMC = cells_MMC.copy()
    if gone_MM.all():
        solved_MMC[:] = cells_MMC.mean((0, 1))
    elif gone_MM.any():
        weights, values = _system(cells_MMC, gone_MM)
        # Symmetric and diagonally dominant: nothing to pivot for.
        factors = splu(weights, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True})
        solved_MMC[gone_MM] = factors.solve(values)
    return solved_MMC


def _system(cells_MMC: Float64Array, gone_MM: Bools) -> tuple[object, Float64Array]:
    """A row each missing cell: its weight, less those of missing neighbours, is what its known neighbours give it."""
    side = len(gone_MM) + 2  # with a border
    number = np.full((side, side), -1)
    number[1:-1, 1:-1][gone_MM] = np.arange(gone_MM.sum())
    is_there = np.pad(np.ones_like(gone_MM), 1).ravel()
    colours = np.pad(cells_MMC, ((1, 1), (1, 1), (0, 0))).reshape(-1, cells_MMC.shape[2])
    missing = np.flatnonzero(number.ravel() >= 0)
    steps = np.array([down * side + right for down, right in _NEIGHBOURS])
    neighbours = missing[:, None] + steps
    weights = _WEIGHTS * is_there[neighbours]
    column = number.ravel()[neighbours]
    is_missing = column >= 0
    values = ((weights * ~is_missing)[..., None] * colours[neighbours]).sum(1)
    rows = np.arange(len(missing))
    matrix = coo_array(
        (
            np.concatenate([weights.sum(1), -weights[is_missing]]),
            (
                np.concatenate([rows, np.nonzero(is_missing)[0]]),
                np.concatenate([rows, column[is_missing]]),
            ),
        ),
        shape=(len(rows), len(rows)),
    )
    return matrix.tocsc(), values
