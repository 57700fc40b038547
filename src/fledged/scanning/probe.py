"""What one file is: format, size, hashes and quality figures. Runs in worker processes; imports no tables, no torch.

Perceptual hash: the signs of the 8x8 lowest frequencies of a 32x32 grey thumbnail's discrete cosine transform against
their median ("pHash", C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from fledged import images
from fledged.places import Changed, TooLarge
from fledged.reading import File, read
from fledged.regular import NotRegular

VERSION = 6  # raise when any figure changes, so that old rows are probed again

# How reasons begin that lie in the moment, not in the file: such a file is asked again by the next scan.
PASSING = ("vanished", "cannot be read", "no longer a regular file", "changed")

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
    camera: str | None = None  # EXIF maker and model
    taken_at: str | None = None  # EXIF time of the shot, ISO 8601 without a time zone
    has_gps: bool | None = None  # EXIF or XMP says where it was taken
    brightness: float | None = None  # mean luma, 0..1
    contrast: float | None = None  # standard deviation of luma, 0..1
    sharpness: float | None = None  # standard deviation of the Laplacian of luma, 0..
    entropy: float | None = None  # of the histogram of luma, 0..8 bits
    flat_share: float | None = None  # pixels as bright as their right neighbour, 0..1: high in drawings and icons
    mean_rgb: tuple[float, float, float] | None = None  # 0..1, over pixels
    std_rgb: tuple[float, float, float] | None = None
    phash: int | None = None  # 64 bits
    phash_mirrored: int | None = None  # of the picture flipped left to right
    error: str | None = None


def probe(file: File, max_pixels: int, max_bytes: int) -> Probe:
    """Everything about one file; never raises for what the file holds."""
    try:
        data = read(file, max_bytes)
    except FileNotFoundError:
        return Probe(error="vanished while it was scanned")
    except NotRegular:
        return Probe(error="no longer a regular file")
    except Changed:
        return Probe(error="changed while it was scanned")
    except TooLarge as error:
        return Probe(error=f"{error.n_bytes / 2**20:.0f} MB, over the limit of {max_bytes / 2**20:.0f} MB")
    except OSError as error:
        return Probe(error=f"cannot be read: {error.strerror}")
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        header, image = images.decode(data, QUALITY_PX, max_pixels, max_bytes)
    except images.BadPhoto as reason:
        return Probe(sha256=sha256, error=str(reason))
    image = _reduced(image)
    luma = _small(image.convert("L"))
    thumbnail = np.asarray(luma.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))
    phash, mirrored = perceptual_hashes(thumbnail)
    means, spreads, entropy = _light(
        np.fromiter(luma.histogram() + image.histogram(), np.float64, 4 * 256).reshape(4, 256)
    )
    luma_HW = np.asarray(luma)
    return Probe(
        sha256=sha256,
        format=header.format,
        width_px=header.width_px,
        height_px=header.height_px,
        orientation=header.orientation,
        n_frames=header.n_frames,
        camera=header.camera,
        taken_at=header.taken_at,
        has_gps=header.has_gps,
        brightness=means[0],
        contrast=spreads[0],
        sharpness=_sharpness(luma_HW),
        entropy=entropy,
        flat_share=_flat_share(luma_HW),
        mean_rgb=(means[1], means[2], means[3]),
        std_rgb=(spreads[1], spreads[2], spreads[3]),
        phash=phash,
        phash_mirrored=mirrored,
    )


def perceptual_hashes(luma: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """The 64-bit hash of a (32, 32) luma thumbnail, and that of the same picture flipped left to right."""
    frequencies = (_DCT @ luma.astype(np.float32) @ _DCT.T).astype(np.float64)  # (8, 8), [vertical][horizontal]
    # Mirroring a picture changes the sign of its odd horizontal frequencies: no second transform is needed.
    return _bits(frequencies), _bits(frequencies * _MIRROR)


def _dct_matrix() -> npt.NDArray[np.float32]:
    """The first 8 rows of the orthonormal DCT-II of 32 samples."""
    k, n = np.arange(8)[:, None], np.arange(THUMBNAIL_PX)[None, :]
    matrix: npt.NDArray[np.float32] = np.cos(np.pi * (2 * n + 1) * k / (2 * THUMBNAIL_PX)).astype(np.float32)
    matrix *= np.sqrt(2 / THUMBNAIL_PX)
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _dct_matrix()
_MIRROR = (-1.0) ** np.arange(8)


def _bits(frequencies: npt.NDArray[np.float64]) -> int:
    flat = frequencies.ravel()
    # The first is the mean brightness, which says nothing about the picture's structure; 31 is the middle of 63.
    bits = flat > np.sort(flat[1:])[31]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _reduced(image: Image.Image) -> Image.Image:
    """By a whole number, so that the shorter side stays above QUALITY_PX: the fast part of shrinking."""
    factor = min(image.size) // QUALITY_PX
    return image.reduce(factor) if factor > 1 else image


def _small(luma: Image.Image) -> Image.Image:
    """The shorter side at QUALITY_PX by plain averaging: twice as fast as bicubic, and all that figures need."""
    scale = QUALITY_PX / min(luma.size)
    if scale >= 1:
        return luma
    return luma.resize((max(1, round(luma.width * scale)), max(1, round(luma.height * scale))), Image.Resampling.BOX)


def _light(histograms: npt.NDArray[np.float64]) -> tuple[list[float], list[float], float]:
    """Means and standard deviations (0..1) of (N, 256) histograms, and the entropy (bits) of the first."""
    shares = histograms / histograms.sum(1, keepdims=True)
    means, squares = (shares @ _LEVELS).T
    spreads = np.sqrt(np.maximum(squares - means**2, 0))
    present = shares[0][shares[0] > 0]
    return means.tolist(), spreads.tolist(), max(0.0, float(-(present @ np.log2(present))))


_LEVELS = np.stack([np.arange(256) / 255, (np.arange(256) / 255) ** 2], 1)


def _flat_share(luma_HW: npt.NDArray[np.uint8]) -> float:
    pairs = luma_HW[:, 1:] == luma_HW[:, :-1]
    return np.count_nonzero(pairs) / pairs.size if pairs.size else 1.0


def _sharpness(luma_HW: npt.NDArray[np.uint8]) -> float:
    if min(luma_HW.shape) < 3:
        return 0.0
    luma = luma_HW.astype(np.int16)  # half the time of floating point
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    flat = laplacian.ravel().astype(np.float32)
    return float(np.sqrt(max(0.0, flat @ flat / flat.size - flat.mean() ** 2))) / 255
