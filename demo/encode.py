"""The many ways in which the photos of a real lake are stored, and some ways to break them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageEnhance

# How each odd format is named; the order is the order in which a lake hands them out.
ODD_SUFFIXES = {
    "gif": ".gif",
    "webp": ".webp",
    "ppm": ".ppm",
    "bmp": ".bmp",
    "alpha": ".PNG",
    "grey16": ".png",
    "tiff": ".tif",
    "cmyk": ".jpg",
    "rotated": ".JPG",
    "palette": ".png",
}
WRONG = (("png", ".jpg"), ("jpeg", ".png"), ("webp", ".jpeg"), ("gif", ".jpg"))
NEAR = ("re-encoded", "resized", "brightened")
BROKEN = ("truncated", "empty", "text")

_ORIENTATION = 0x0112
_ERROR_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head>\n"
    b"<body><h1>Forbidden</h1><p>Hotlinking of images is disabled.</p></body></html>\n"
)


def jpeg(image: Image.Image, rng: np.random.Generator) -> bytes:
    """A JPEG of a quality as scraped pictures have it."""
    quality = int(rng.integers(62, 96))
    subsampling = int(rng.choice([0, 2, 2]))
    return _saved(image, "JPEG", quality=quality, subsampling=subsampling)


def odd(image: Image.Image, kind: str) -> bytes:
    """The picture in one of `ODD_SUFFIXES`, or as a plain "png"."""
    if kind == "alpha":
        return _saved(_with_alpha(image), "PNG", compress_level=3)
    if kind == "grey16":
        # Not a mere multiple of 256, so that a reader that keeps the low byte only shows noise.
        wide = np.asarray(image.convert("L"), dtype=np.uint16) * 257
        return _saved(Image.fromarray(wide), "PNG", compress_level=3)
    if kind == "cmyk":
        return _saved(image.convert("CMYK"), "JPEG", quality=90)
    if kind == "rotated":
        exif = Image.Exif()
        exif[_ORIENTATION] = 6  # the camera was held upright: turn clockwise to show
        turned = image.transpose(Image.Transpose.ROTATE_90)
        return _saved(turned, "JPEG", quality=88, exif=exif.tobytes())
    if kind in ("gif", "palette"):
        few = image.quantize(128, method=Image.Quantize.FASTOCTREE)
        return _saved(few, "GIF" if kind == "gif" else "PNG")
    if kind == "jpeg":
        return _saved(image, "JPEG", quality=90)
    if kind == "webp":
        return _saved(image, "WEBP", quality=85, method=2)
    return _saved(image, kind.upper())


def near(original: bytes, kind: str) -> bytes:
    """The same photo once more, as another site may have stored it."""
    image = Image.open(BytesIO(original)).convert("RGB")
    if kind == "resized":
        size = (max(image.width * 3 // 4, 8), max(image.height * 3 // 4, 8))
        return _saved(image.resize(size, Image.Resampling.LANCZOS), "JPEG", quality=90)
    if kind == "brightened":
        return _saved(ImageEnhance.Brightness(image).enhance(1.06), "JPEG", quality=90)
    return _saved(image, "JPEG", quality=58)


def broken(whole: bytes, kind: str) -> bytes:
    """A file that is called a photo and is none (any more)."""
    if kind == "empty":
        return b""
    if kind == "text":
        return _ERROR_PAGE
    return whole[: len(whole) * 2 // 5]


def _with_alpha(image: Image.Image) -> Image.Image:
    """Corners faded out, and odd colours where nothing should be seen."""
    wide, high = image.size
    rows = np.linspace(-1, 1, high)[:, None] ** 4
    columns = np.linspace(-1, 1, wide)[None] ** 4
    alpha = (np.clip((1.5 - rows - columns) * 6, 0, 1) * 255).astype(np.uint8)
    pixels = np.asarray(image).copy()
    pixels[alpha == 0] = (255, 0, 255)
    cut = Image.fromarray(pixels)
    cut.putalpha(Image.fromarray(alpha))
    return cut


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
