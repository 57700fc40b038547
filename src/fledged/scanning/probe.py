"""What one file is: format, size, hashes and quality figures. Runs in worker processes; imports no tables, no torch.

Perceptual hash: the signs of the 8x8 lowest frequencies of a 32x32 grey thumbnail's discrete cosine transform against
their median ("pHash", C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fledged import images

VERSION = 1  # raise when any figure changes, so that old rows are probed again

THUMBNAIL_PX = 32
# Brightness, contrast and sharpness are measured with the shorter side at this size, so that they compare.
QUALITY_PX = 128


@dataclass(frozen=True, slots=True)
class Probe:
    """A photo's row; with `error` set, what could not be found out is None."""

    sha256: str | None = None
    format: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    orientation: int | None = None
    n_frames: int | None = None
    brightness: float | None = None  # mean luma, 0..1
    contrast: float | None = None  # standard deviation of luma, 0..1
    sharpness: float | None = None  # standard deviation of the Laplacian of luma, 0..
    phash: int | None = None  # 64 bits
    phash_mirrored: int | None = None  # of the picture flipped left to right
    thumbnail: bytes | None = None  # 32x32 luma
    error: str | None = None


def probe(path: str, max_pixels: int, max_bytes: int) -> Probe:
    """Everything about one file; never raises for what the file holds."""
    file = Path(path)
    try:
        if (n_bytes := file.stat().st_size) > max_bytes:
            return Probe(error=f"{n_bytes / 2**20:.0f} MB, over the limit of {max_bytes / 2**20:.0f} MB")
        data = file.read_bytes()
    except FileNotFoundError:
        return Probe(error="vanished while it was scanned")
    except OSError as error:
        return Probe(error=f"cannot be read: {error.strerror}")
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        header, image = images.decode(data, QUALITY_PX, max_pixels, max_bytes)
    except images.BadPhoto as reason:
        return Probe(sha256=sha256, error=str(reason))
    luma = image.convert("L")
    quality = np.asarray(images.shrink(luma, QUALITY_PX), dtype=np.float32) / np.float32(255)
    thumbnail = np.asarray(luma.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))
    phash, mirrored = perceptual_hashes(thumbnail)
    return Probe(
        sha256=sha256,
        format=header.format,
        width_px=header.width_px,
        height_px=header.height_px,
        orientation=header.orientation,
        n_frames=header.n_frames,
        brightness=float(quality.mean()),
        contrast=float(quality.std()),
        sharpness=_sharpness(quality),
        phash=phash,
        phash_mirrored=mirrored,
        thumbnail=thumbnail.tobytes(),
    )


def perceptual_hashes(luma: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """The 64-bit hash of a (32, 32) luma thumbnail, and that of the same picture flipped left to right."""
    frequencies = (_DCT @ luma.astype(np.float32) @ _DCT.T).astype(np.float64)  # (8, 8), [vertical][horizontal]
    # Mirroring a picture changes the sign of its odd horizontal frequencies: no second transform is needed.
    return _bits(frequencies), _bits(frequencies * (-1.0) ** np.arange(8))


def _dct_matrix() -> npt.NDArray[np.float32]:
    """The first 8 rows of the orthonormal DCT-II of 32 samples."""
    k, n = np.arange(8)[:, None], np.arange(THUMBNAIL_PX)[None, :]
    matrix: npt.NDArray[np.float32] = np.cos(np.pi * (2 * n + 1) * k / (2 * THUMBNAIL_PX)).astype(np.float32)
    matrix *= np.sqrt(2 / THUMBNAIL_PX)
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _dct_matrix()


def _bits(frequencies: npt.NDArray[np.float64]) -> int:
    flat = frequencies.ravel()
    # The first is the mean brightness, which says nothing about the picture's structure.
    bits = flat > np.median(flat[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _sharpness(luma: npt.NDArray[np.float32]) -> float:
    if min(luma.shape) < 3:
        return 0.0
    centre = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre
    return float(laplacian.std())
