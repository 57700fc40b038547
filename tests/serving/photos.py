"""Photos of one colour, in every format that people send."""

from __future__ import annotations

import functools
import io

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

COLOURS = {"red": (200, 40, 30), "green": (30, 170, 60), "blue": (40, 60, 210)}


@functools.cache
def picture(colour: str = "red", size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A picture of nearly one colour: noise keeps the compressors honest."""
    noise = np.random.default_rng(7).integers(-12, 13, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    """The picture as a file of the format `name`."""
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def jpeg(colour: str = "red", size: tuple[int, int] = (80, 60)) -> bytes:
    """A small JPEG of one colour."""
    return encoded(picture(colour, size), "JPEG", quality=90)


@functools.cache
def of_all_kinds() -> dict[str, bytes]:
    """Name to bytes; all of them are blue but the greys."""
    blue = picture("blue")
    transparent = blue.copy()
    transparent.putalpha(200)
    deep_grey = Image.fromarray(np.full((60, 80), 40_000, np.uint16))
    sideways = Image.Exif()
    sideways[0x0112] = 6
    return {
        "jpeg": encoded(blue, "JPEG"),
        "progressive jpeg": encoded(blue, "JPEG", progressive=True),
        "large jpeg": encoded(picture("blue", (900, 700)), "JPEG"),
        "exif-rotated jpeg": encoded(blue, "JPEG", exif=sideways),
        "cmyk jpeg": encoded(blue.convert("CMYK"), "JPEG"),
        "grey jpeg": encoded(blue.convert("L"), "JPEG"),
        "png": encoded(blue, "PNG"),
        "png with alpha": encoded(transparent, "PNG"),
        "png with a palette": encoded(blue.quantize(16), "PNG"),
        "16-bit png": encoded(deep_grey, "PNG"),
        "1-bit png": encoded(blue.convert("1"), "PNG"),
        "gif": encoded(blue, "GIF"),
        "webp": encoded(blue, "WEBP"),
        "webp with alpha": encoded(transparent, "WEBP"),
        "bmp": encoded(blue, "BMP"),
        "ppm": encoded(blue, "PPM"),
        "tiff": encoded(blue, "TIFF"),
        "avif": encoded(blue, "AVIF"),
        "heic": encoded(blue, "HEIF"),
        "1 x 1 png": encoded(picture("blue", (1, 1)), "PNG"),
        "1 x 3000 png": encoded(picture("blue", (1, 3000)), "PNG"),
    }


GREY = encoded(Image.new("RGB", (40, 30), "grey"), "PNG")
