"""An open picture becomes an upright one in RGB: modes, transparency, deep greys, and pictures of many pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fledged.headers import orientation_of

# Larger pictures are shrunk while they become RGB, as JPEGs are while they are decoded; in pieces of so many pixels.
_LARGE_PIXELS = 24_000_000
_PIECE_PIXELS = 1_000_000

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_rgb(image: Image.Image, at_least_px: int | None = None) -> Image.Image:
    """An open picture, set upright by its EXIF orientation, in RGB; what is transparent turns white.

    With `at_least_px`, one of over 24 million pixels is shrunk to 1/2, 1/4 or 1/8 on the way, the shorter side never
    below that many pixels.
    """
    image.load()  # turns a TIFF, which then has no orientation any more
    picture = _to_rgb(image, _reduction(image.size, at_least_px))
    turn = _UPRIGHT.get(orientation_of(image))
    return picture.transpose(turn) if turn is not None else picture


def _reduction(size_px: tuple[int, int], at_least_px: int | None) -> int:
    """By how much a picture may be shrunk before anything else, so that the rest takes little memory."""
    if at_least_px is None or size_px[0] * size_px[1] <= _LARGE_PIXELS:
        return 1
    return next((by for by in (8, 4, 2) if min(size_px) // by >= at_least_px), 1)


def _to_rgb(image: Image.Image, by: int) -> Image.Image:
    """In RGB, `by` times smaller; large pictures piece by piece, since the steps between take some times as much."""
    if image.mode == "RGB":
        return image.reduce(by) if by > 1 else image.copy() if image.readonly else image
    full_scale = _full_scale(image)
    width, height = image.size
    n_rows = max(1, _PIECE_PIXELS // width // by) * by
    if n_rows >= height and by == 1:
        return _piece_to_rgb(image, full_scale)
    picture = Image.new("RGB", (-(-width // by), -(-height // by)))
    for top in range(0, height, n_rows):
        piece = _piece_to_rgb(image.crop((0, top, width, min(height, top + n_rows))), full_scale)
        picture.paste(piece.reduce(by) if by > 1 else piece, (0, top // by))
    return picture


def _piece_to_rgb(image: Image.Image, full_scale: float | None) -> Image.Image:
    if full_scale is not None:
        return _deep_grey_to_rgb(image, full_scale)
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, colour).convert("RGB")
    return image.convert("RGB")


def _full_scale(image: Image.Image) -> float | None:
    """What is white in a picture of 16-bit or floating-point grey; None for other pictures."""
    if image.mode not in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return None
    if image.mode != "F":
        return 65535.0
    grey = np.asarray(image)
    if np.isnan(grey).all():
        raise ValueError("no pixel is a number")
    # Floating-point files hold 0..1 by convention; integers are 16-bit.
    return 1.0 if np.nanmax(grey) <= 1 else 255.0


def _deep_grey_to_rgb(image: Image.Image, full_scale: float) -> Image.Image:
    """16-bit and floating-point grey to 8 bits: Pillow's own conversion clips at 255, which turns photos white."""
    grey = np.asarray(image, dtype=np.float64)
    eight_bit = np.nan_to_num(np.clip(grey / full_scale, 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(eight_bit).convert("RGB")
