"""Do two photos show the same picture? Small grey outlines are laid over each other and their edges compared.

One outline is moved, turned, scaled and sheared until it lies on the other as well as it can: the inverse compositional
Lucas-Kanade algorithm with robust weights (S. Baker and I. Matthews, Lucas-Kanade 20 Years On, IJCV 2004). Then the
gradients of both are correlated in blocks, and each block counts by the weaker of its two gradients. So a watermark on
one of the photos costs nothing, and two clear skies, which have no edges in common, are not taken for one.

Shapes: B pairs, H = W = S pixels (64), P = S * S.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fledged.reviewing.outlines import OUTLINE_PX

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_BLOCK_PX = 8
_ITERATIONS = 6
# Laid over each other with a shift only, outlines of one picture correlate at least so much.
_MIN_CORRELATION = 0.5
_MIN_FITTED_CORRELATION = 0.6
_MAX_SHIFT = 2  # pixels of 32, each way
# Cropping, resizing and turning a little leave this much in common; wilder maps fit anything flat to anything.
_MIN_OVERLAP = 0.7
_MAX_AREA_RATIO = 1.43


def similarity(first_BHW: npt.NDArray[np.uint8], second_BHW: npt.NDArray[np.uint8], enough: float) -> Float32Array:
    """How surely each pair of outlines is of one picture, 0..1, mirrored or not (B,).

    Pairs that reach `enough` without being aligned are not aligned any more, which saves most of the time.
    """
    first, second = _standardised(first_BHW), _standardised(second_BHW)
    edges, others = _edges(first), _edges(second)
    scores = _in_common(edges, others)
    scores = np.where(scores < enough, np.maximum(scores, _in_common(edges, others.mirrored())), scores)
    undecided = np.flatnonzero(scores < enough)
    if not len(undecided):
        return scores
    first, second = first[undecided], second[undecided]
    mirrored = second[:, :, ::-1]
    straight, shift_B2 = _best_shift(_half(first), _half(second))
    flipped, shift_of_flipped_B2 = _best_shift(_half(first), _half(mirrored))
    # Only the likelier way round is aligned: that is where the time goes.
    flip = flipped > straight
    second[flip], shift_B2[flip] = mirrored[flip], shift_of_flipped_B2[flip]
    likely = np.flatnonzero(np.maximum(straight, flipped) >= _MIN_CORRELATION)
    if len(likely):
        aligned = _aligned(first[likely], second[likely], shift_B2[likely])
        scores[undecided[likely]] = np.maximum(scores[undecided[likely]], aligned)
    return scores


def _aligned(first_BHW: Float32Array, second_BHW: Float32Array, shift_B2: Float32Array) -> Float32Array:
    scores = np.zeros(len(first_BHW), np.float32)
    maps = np.tile(np.eye(2, 3, dtype=np.float32), (len(first_BHW), 1, 1))
    maps[:, :, 2] = shift_B2
    small, other = _blurred(_half(first_BHW)), _blurred(_half(second_BHW))
    maps = _fit(small, other, maps)
    # What is not alike at 32 pixels by now will not be at 64, where a step costs four times as much.
    likely = np.flatnonzero(_correlation(small, *_warp(other, maps)) >= _MIN_FITTED_CORRELATION)
    if not len(likely):
        return scores
    first_BHW, second_BHW, maps = first_BHW[likely], second_BHW[likely], maps[likely]
    maps[:, :, 2] *= 2  # from 32 pixels to 64
    maps = _fit(_blurred(first_BHW), _blurred(second_BHW), maps)
    warped, inside = _warp(second_BHW, maps)
    area = np.abs(np.linalg.det(maps[:, :, :2]))
    tame = (inside.mean((1, 2)) >= _MIN_OVERLAP) & (area < _MAX_AREA_RATIO) & (area > 1 / _MAX_AREA_RATIO)
    scores[likely] = np.where(tame, _in_common(_edges(first_BHW, inside), _edges(warped, inside)), np.float32(0))
    return scores


def _correlation(first_BHW: Float32Array, second_BHW: Float32Array, inside_BHW: BoolArray) -> Float32Array:
    """Pearson's, over the pixels inside (B,)."""
    shape = (len(first_BHW), -1)
    mask = inside_BHW.reshape(shape).astype(np.float32)
    n = mask.sum(1, keepdims=True) + 1
    first, second = first_BHW.reshape(shape), second_BHW.reshape(shape)
    first = (first - _dot(first, mask)[:, None] / n) * mask
    second = (second - _dot(second, mask)[:, None] / n) * mask
    spread = np.sqrt(_dot(first, first) * _dot(second, second)) + 1e-3
    return np.asarray(_dot(first, second) / spread, np.float32)


def _dot(first_BP: Float32Array, second_BP: Float32Array) -> Float32Array:
    """The sum of the products, a pair (B,)."""
    result: Float32Array = np.einsum("bp,bp->b", first_BP, second_BP)
    return result


@dataclass(frozen=True, slots=True)
class _Edges:
    """Gradients along x and y (B, H, W), 0 where nothing is to be compared, and the sum of their squares by block."""

    x: Float32Array
    y: Float32Array
    strength: Float32Array

    def mirrored(self) -> _Edges:
        """Of the pictures flipped left to right."""
        return _Edges(-self.x[:, :, ::-1], self.y[:, :, ::-1], self.strength[:, :, ::-1])


def _edges(image_BHW: Float32Array, inside_BHW: BoolArray | None = None) -> _Edges:
    """Of the blurred images, where a pixel and its neighbours are inside."""
    x, y = _gradients(_blurred(image_BHW))
    x[:, (0, -1)] = 0
    y[:, :, (0, -1)] = 0
    if inside_BHW is not None:
        rows, columns = inside_BHW[:, :, 1:-1], inside_BHW[:, 1:-1]
        core = rows[:, 1:-1] & rows[:, 2:] & rows[:, :-2] & columns[:, :, 2:] & columns[:, :, :-2]
        x[:, 1:-1, 1:-1] *= core
        y[:, 1:-1, 1:-1] *= core
    return _Edges(x, y, _by_block(x * x + y * y))


def _in_common(first: _Edges, second: _Edges) -> Float32Array:
    """How alike the gradients are, 0..1; each block counts by the weaker of its two (B,)."""
    common = _by_block(first.x * second.x + first.y * second.y)
    weight = np.minimum(first.strength, second.strength)
    correlation = common / np.sqrt(first.strength * second.strength + np.float32(1e-9))
    result: Float32Array = (correlation * weight).sum((1, 2)) / (weight.sum((1, 2)) + np.float32(1e-6))
    return np.clip(result, 0, 1)


def _by_block(values_BHW: Float32Array) -> Float32Array:
    """Sums (B, 8, 8) over blocks of 8 x 8 pixels."""
    n = OUTLINE_PX // _BLOCK_PX
    rows = values_BHW.reshape(-1, n, _BLOCK_PX, OUTLINE_PX).sum(2)  # in two steps: 3 times as fast
    blocks: Float32Array = rows.reshape(-1, n, n, _BLOCK_PX).sum(3)
    return blocks


def _fit(first_BHW: Float32Array, second_BHW: Float32Array, maps_B23: Float32Array) -> Float32Array:
    """Maps that lay the second outline on the first, from a first guess; coordinates are counted from the middle."""
    n_pairs, side, _ = first_BHW.shape
    half = (side - 1) / 2
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) - half) / half
    gx, gy = _gradients(first_BHW)
    jacobian_B6P = np.stack([gx * x, gx * y, gx, gy * x, gy * y, gy], 1).reshape(n_pairs, 6, -1)
    first_BP = first_BHW.reshape(n_pairs, -1)
    damping = np.float32(1e-5) * np.eye(6, dtype=np.float32)
    for _ in range(_ITERATIONS):
        warped, inside = _warp(second_BHW, maps_B23)
        mask = inside.reshape(n_pairs, -1).astype(np.float32)
        n = mask.sum(1, keepdims=True) + 1
        error = _matched(warped.reshape(n_pairs, -1), first_BP, mask, n)
        weight = mask / (1 + error * error)  # what differs much (a watermark, a moved hand) counts little
        weighted = jacobian_B6P * weight[:, None]
        hessian = np.matmul(weighted, jacobian_B6P.transpose(0, 2, 1)) + damping * n[:, :, None]
        gradient = np.matmul(weighted, error[:, :, None])
        step = np.linalg.solve(hessian, gradient)[:, :, 0]
        update = np.tile(np.eye(3, dtype=np.float32), (n_pairs, 1, 1))
        update[:, 0, :2] += step[:, 0:2] / half
        update[:, 0, 2] = step[:, 2]
        update[:, 1, :2] += step[:, 3:5] / half
        update[:, 1, 2] = step[:, 5]
        maps_B23 = np.matmul(_square(maps_B23), np.linalg.inv(update))[:, :2].astype(np.float32)
    return maps_B23


def _matched(second_BP: Float32Array, first_BP: Float32Array, mask: Float32Array, n: Float32Array) -> Float32Array:
    """Second minus first, after brightness and contrast of the second were set to those of the first."""
    second = second_BP - _dot(second_BP, mask)[:, None] / n
    first = first_BP - _dot(first_BP, mask)[:, None] / n
    scale = np.sqrt(_dot(first * mask, first) / (_dot(second * mask, second) + 1e-3))
    result: Float32Array = second * scale[:, None] - first
    return result


def _warp(image_BHW: Float32Array, maps_B23: Float32Array) -> tuple[Float32Array, BoolArray]:
    """The image seen through the map (bilinear), and which of its pixels lie inside of it."""
    n_pairs, side, _ = image_BHW.shape
    half = np.float32((side - 1) / 2)
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) - half).reshape(2, 1, -1)
    u = maps_B23[:, 0, 0, None] * x + maps_B23[:, 0, 1, None] * y + maps_B23[:, 0, 2, None] + half
    v = maps_B23[:, 1, 0, None] * x + maps_B23[:, 1, 1, None] * y + maps_B23[:, 1, 2, None] + half
    inside = (u >= 0) & (u <= side - 1) & (v >= 0) & (v <= side - 1)
    u, v = np.clip(u, 0, side - 1.001), np.clip(v, 0, side - 1.001)
    left, top = np.floor(u), np.floor(v)
    at = (top * side + left).astype(np.intp) + (np.arange(n_pairs) * side * side)[:, None]
    u, v = u - left, v - top
    flat = image_BHW.ravel()
    top_left, top_right, low_left, low_right = (flat.take(at + step) for step in (0, 1, side, side + 1))
    upper, lower = top_left + (top_right - top_left) * u, low_left + (low_right - low_left) * u
    values = (upper + (lower - upper) * v).astype(np.float32)
    return values.reshape(image_BHW.shape), inside.reshape(image_BHW.shape)


def _best_shift(first_BHW: Float32Array, second_BHW: Float32Array) -> tuple[Float32Array, Float32Array]:
    """The highest correlation over shifts of a few pixels (B,), and that shift in x and y (B, 2)."""
    n_pairs, side, _ = first_BHW.shape
    margin = _MAX_SHIFT
    core = first_BHW[:, margin:-margin, margin:-margin].reshape(n_pairs, -1)
    core = core - core.mean(1, keepdims=True)
    norm = np.asarray(np.linalg.norm(core, axis=1), np.float32) + np.float32(1e-3)
    best = np.full(n_pairs, -1, np.float32)
    shift = np.zeros((n_pairs, 2), np.float32)
    for dy in range(2 * margin + 1):
        for dx in range(2 * margin + 1):
            window = second_BHW[:, dy : side - 2 * margin + dy, dx : side - 2 * margin + dx].reshape(n_pairs, -1)
            variance = _dot(window, window) - window.sum(1) ** 2 / window.shape[1]
            spread = np.sqrt(np.maximum(variance, 0)) + np.float32(1e-3)
            correlation = _dot(core, window) / (norm * spread)
            better = correlation > best
            best[better] = correlation[better]
            shift[better] = (dx - margin, dy - margin)
    return best, shift


def _standardised(outlines_BHW: npt.NDArray[np.uint8]) -> Float32Array:
    values = outlines_BHW.astype(np.float32)
    values -= values.mean((1, 2), keepdims=True)
    values /= np.maximum(values.std((1, 2), keepdims=True), 1.0)
    return values


def _half(image_BHW: Float32Array) -> Float32Array:
    rows = image_BHW[:, ::2] + image_BHW[:, 1::2]
    result: Float32Array = (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)
    return result


def _blurred(image_BHW: Float32Array) -> Float32Array:
    padded = np.pad(image_BHW, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    both = rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    return np.asarray(both / 16, np.float32)


def _gradients(image_BHW: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Central differences along x and y; 0 on the border."""
    gx, gy = np.zeros_like(image_BHW), np.zeros_like(image_BHW)
    gx[:, :, 1:-1] = (image_BHW[:, :, 2:] - image_BHW[:, :, :-2]) / 2
    gy[:, 1:-1] = (image_BHW[:, 2:] - image_BHW[:, :-2]) / 2
    return gx, gy


def _square(maps_B23: Float32Array) -> Float32Array:
    last = np.broadcast_to(np.array([[[0, 0, 1]]], np.float32), (len(maps_B23), 1, 3))
    return np.concatenate([maps_B23, last], 1)
