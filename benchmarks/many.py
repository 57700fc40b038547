"""A lake of very many tiny photos, made fast: what grows with the rows and not with the pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

CLASSES = 10
EXACT, NEAR, BROKEN = 0.02, 0.02, 0.001  # shares of the photos
_PX, _COARSE_PX = 32, 5
_BLOCK = 1000
_SEED = 7


def make(lake: Path, n_photos: int) -> list[tuple[str, str]]:
    """`n_photos` files of about 800 bytes in class folders; the pairs of paths that show one picture in two files.

    Of each block of 1,000, 20 are byte for byte another photo of the block, 20 another one encoded more coarsely, and
    one is cut off. Everything is drawn by lot, the same each time.
    """
    near: list[tuple[str, str]] = []
    for label in range(CLASSES):
        (lake / f"class_{label}").mkdir(parents=True, exist_ok=True)
    for first in range(0, n_photos, _BLOCK):
        near += _make_block(lake, first, min(_BLOCK, n_photos - first))
    return near


def _make_block(lake: Path, first: int, n: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng([_SEED, first])
    pictures = _pictures(n, rng)
    names = [f"class_{(first + i) % CLASSES}/{first + i:08d}.jpg" for i in range(n)]
    exact, alike = int(n * EXACT), int(n * NEAR)
    near: list[tuple[str, str]] = []
    for i, name in enumerate(names):
        # The last ones are copies of photos of the same class at the block's beginning.
        source = i % CLASSES + CLASSES * (i // CLASSES % 2)
        if i >= n - exact:
            data = _jpeg(pictures[source], 75)
        elif i >= n - exact - alike:
            data = _jpeg(pictures[source + 2 * CLASSES], 60)
            near.append((names[source + 2 * CLASSES], name))
        else:
            data = _jpeg(pictures[i], 75)
        if BROKEN and i == n // 2:
            data = data[: len(data) // 2]
        with open(f"{lake}/{name}", "wb") as file:  # noqa: PTH123 - pathlib would take a third of the time
            file.write(data)
    return near


def _pictures(n: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Soft blotches of colour with some grain, no two alike (n, 32, 32, 3)."""
    coarse = rng.integers(16, 224, (n, _COARSE_PX**2, 3)).astype(np.float32)
    smooth = (_BLEND @ coarse).astype(np.uint8)
    grain = np.frombuffer(rng.bytes(smooth.size), np.uint8).reshape(smooth.shape) >> 4
    return (smooth + grain).reshape(n, _PX, _PX, 3)


def _blend() -> npt.NDArray[np.float32]:
    """What turns 5 x 5 colours into 32 x 32 by linear interpolation."""
    at = np.linspace(0, _COARSE_PX - 1, _PX)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(_COARSE_PX)))
    return np.kron(weights, weights).astype(np.float32)


_BLEND = _blend()


def _jpeg(picture: npt.NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
