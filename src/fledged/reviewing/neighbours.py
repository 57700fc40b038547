"""The nearest photos by features, without comparing each with each.

An inverted file (H. Jégou et al., Product Quantization for Nearest Neighbor Search, PAMI 2011), joined with itself:
each photo is put into the few cells whose centres are nearest, and compared with all others of those cells. Two photos
meet where they have a cell in common. Time grows with the 1.5th power of the photos; every cell is a piece of work by
itself, for any core of any machine, and what is found depends on nobody's order.

Shapes: N photos, F features, K neighbours, C cells, M members of a cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from fledged import engine
from fledged.engine import LOCAL, Engine
from fledged.errors import EngineError
from fledged.progress import Report, silent
from fledged.spreading.jobs import Each

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

# Up to this many photos each is compared with each.
EXACT_BELOW = 20_000
_CELLS_A_PHOTO = 6  # into which it is put
_ROOTS = 2  # cells are this many times the square root of the photos: fewer to ask costs as much as fewer to compare
_SAMPLE = 48  # photos a cell that its centre is found from
_ROUNDS = 6  # of moving the centres: further ones change no more than a few photos' cells
_MOST_MEMBERS = 8192  # of a cell: of a hundred thousand photos of nothing
_BLOCK = 4096  # photos whose cells are asked for at once
_TABLE = 1 << 22  # similarities that are in a worker's memory at once


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Of each photo, nearest first; where there are fewer than K, the rest is -1 with similarity -1."""

    index_NK: Int64Array
    cosine_NK: Float32Array


def nearest(
    features_NF: Float32Array,
    k: int,
    on: Engine = LOCAL,
    report: Report = silent,
    exact_below: int = EXACT_BELOW,
) -> Neighbours:
    """The `k` nearest others of each photo by the cosine of their features, which are of length 1.

    All of them up to `exact_below` photos; above, a few of the farther ones may be missed.
    """
    n = len(features_NF)
    found = Neighbours(np.full((n, k), -1, np.int64), np.full((n, k), -1, np.float32))
    if n < 2:
        return found
    # One thread a piece of work: its result must not depend on how many cores there are.
    with threadpool_limits(1, "blas"):
        cells = [np.arange(n)] if n <= exact_below else _cells(features_NF, on, report)
        pieces = ([piece] for members in cells for piece in _pieces(members, features_NF))
        step, done, total = "Searching for neighbours", 0, sum(map(len, cells))
        report(step, 0, total)
        for ((rows, index, cosine),) in engine.map_batches(Each(partial(_compared, k=k)), pieces, killed, on):
            _merge(found, rows, index, cosine)
            done += len(rows)
            report(step, done, total)
    return found


def killed(_: object) -> NoReturn:
    """Raises EngineError: no photo is opened here, so it was for want of memory."""
    raise EngineError(
        "Each worker that compared photos was killed",
        remedy="Give the machines of the cluster more memory a core, or start them with fewer cores.",
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some members of a cell, to be compared with all of them."""

    members_M: Int64Array
    features_MF: Float32Array
    asked: slice


def _compared(piece: _Piece, k: int) -> tuple[Int64Array, Int64Array, Float32Array]:
    """Of each asked photo the nearest others: photos (A,), others (A, K) and cosines (A, K)."""
    table = piece.features_MF[piece.asked] @ piece.features_MF.T
    rows = np.arange(len(table))
    table[rows, rows + piece.asked.start] = -2  # not its own neighbour
    n = table.shape[1]
    wanted = min(k, n - 1)
    place = np.argpartition(table, n - wanted, axis=1)[:, n - wanted :]
    short = ((0, 0), (0, k - wanted))
    cosine = np.pad(np.take_along_axis(table, place, 1), short, constant_values=-1)
    return piece.members_M[piece.asked], np.pad(piece.members_M[place], short, constant_values=-1), cosine


def _nearest_centres(features_BF: Float32Array, centres_CF: Float32Array, n: int) -> npt.NDArray[np.int32]:
    """Of each photo the cells with the nearest centres (B, n), in no order."""
    table = features_BF @ centres_CF.T
    return np.argpartition(table, len(centres_CF) - n, axis=1)[:, len(centres_CF) - n :].astype(np.int32)


def _cells(features_NF: Float32Array, on: Engine, report: Report) -> list[Int64Array]:
    """The photos of each cell, in their order; a photo is in six."""
    n = len(features_NF)
    n_cells = min(n, int(_ROOTS * np.sqrt(n)))
    sample = features_NF[np.linspace(0, n - 1, min(n, _SAMPLE * n_cells)).astype(np.int64)]
    centres = sample[np.linspace(0, len(sample) - 1, n_cells).astype(np.int64)]
    for _ in range(_ROUNDS):
        centres = _moved(centres, sample, _assigned(sample, centres, 1, on, silent)[:, 0])
    cell_NC = _assigned(features_NF, centres, min(_CELLS_A_PHOTO, n_cells), on, report)
    order = np.argsort(cell_NC, axis=None, kind="stable")
    starts = np.searchsorted(cell_NC.ravel()[order], np.arange(1, n_cells))
    members = np.split(order // cell_NC.shape[1], starts)
    return [part for cell, centre_F in zip(members, centres, strict=True) for part in _cut(cell, features_NF, centre_F)]


def _assigned(
    features_NF: Float32Array, centres_CF: Float32Array, n: int, on: Engine, report: Report
) -> npt.NDArray[np.int32]:
    step = "Sorting photos by likeness"
    blocks = ([features_NF[start : start + _BLOCK]] for start in range(0, len(features_NF), _BLOCK))
    job = Each(partial(_nearest_centres, centres_CF=centres_CF, n=n))
    found: list[npt.NDArray[np.int32]] = []
    report(step, 0, len(features_NF))
    for answers in engine.map_batches(job, blocks, killed, on):
        found += answers
        report(step, min(len(features_NF), len(found) * _BLOCK), len(features_NF))
    return np.concatenate(found)


def _moved(centres_CF: Float32Array, sample_NF: Float32Array, cell_N: npt.NDArray[np.int32]) -> Float32Array:
    """Each centre at the mean direction of its photos; one without photos stays."""
    order = np.argsort(cell_N, kind="stable")
    cells, starts = np.unique(cell_N[order], return_index=True)
    moved = centres_CF.copy()
    moved[cells] = np.add.reduceat(sample_NF[order], starts, axis=0)
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)
    return moved


def _cut(members: Int64Array, features_NF: Float32Array, centre_F: Float32Array) -> Iterator[Int64Array]:
    """A cell that is too large, in runs of photos that are about as near to its centre: copies stay together."""
    if len(members) <= _MOST_MEMBERS:
        if len(members) > 1:
            yield members
        return
    by_nearness = members[np.argsort(features_NF[members] @ centre_F, kind="stable")]
    for part in np.array_split(by_nearness, -(-len(members) // _MOST_MEMBERS)):
        yield np.sort(part)


def _pieces(members_M: Int64Array, features_NF: Float32Array) -> Iterator[_Piece]:
    n, features_MF = len(members_M), features_NF[members_M]
    at_once = max(1, _TABLE // n)
    for start in range(0, n, at_once):
        yield _Piece(members_M, features_MF, slice(start, start + at_once))


def _merge(found: Neighbours, rows: Int64Array, index_MK: Int64Array, cosine_MK: Float32Array) -> None:
    """Keep the nearest of those known and those found now, each once."""
    k = index_MK.shape[1]
    index = np.concatenate([found.index_NK[rows], index_MK], 1)
    cosine = np.concatenate([found.cosine_NK[rows], cosine_MK], 1)
    by_index = np.lexsort((-cosine, index), axis=1)
    index, cosine = np.take_along_axis(index, by_index, 1), np.take_along_axis(cosine, by_index, 1)
    again = np.zeros(index.shape, bool)
    again[:, 1:] = index[:, 1:] == index[:, :-1]
    index[again], cosine[again] = -1, -1
    order = np.lexsort((index, -cosine), axis=1)[:, :k]
    found.index_NK[rows] = np.take_along_axis(index, order, 1)
    found.cosine_NK[rows] = np.take_along_axis(cosine, order, 1)
