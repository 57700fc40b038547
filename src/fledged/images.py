"""Bytes of a photo to an upright RGB model input: the only pixel path, without torch.

Preparing, training, evaluating, predicting and serving all come through here, so they cannot differ.

Shapes: H height, W width, C = 3 channels (RGB), S = `Preprocess.size_px`.
"""

from __future__ import annotations

import io
import zlib
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from fledged import costs
from fledged.headers import Header, header_of
from fledged.products import Preprocess
from fledged.rgb import upright_rgb

UInt8Array = npt.NDArray[np.uint8]

# "MPO" is left out on purpose: Pillow's MPO plugin raises KeyError on other files, and its JPEG plugin
# opens the first picture of an MPO anyway.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM", "TIFF", "AVIF", "HEIF")

# Pillow warns above this many pixels and refuses above twice as many; we refuse at the lower one.
MAX_PIXELS = 89_478_485
MAX_BYTES = 100 * 2**20

# Pillow decodes and shrinks to no less than this many times the wanted size before the exact resampling:
# far faster on large photos, and hardly different (Pillow's own default in Image.thumbnail).
REDUCING_GAP = 2.0

HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}

# Files that start so are meant to be photos, even where the rest cannot be read.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")

# https://www.w3.org/TR/png-3/#5Chunk-layout
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT")

_INTERPOLATION = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# The letterbox of resize mode "pad": the middle grey, which is near zero after standardisation.
_PAD_RGB = (128, 128, 128)


class BadPhoto(Exception):
    """The bytes cannot be read as a photo; the message is the reason, fit for a table cell."""


class NotAPhoto(BadPhoto):
    """The bytes are another kind of file, or a format that is not read; nothing says that they are damaged."""


def read_header(data: bytes, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Header:
    """Format and upright size, without decoding the pixels. Raises BadPhoto."""
    with _opened(data, max_pixels, max_bytes) as image:
        return header_of(image)


def decode(
    data: bytes,
    at_least_px: int | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> tuple[Header, Image.Image]:
    """The header and the whole picture, upright, in RGB.

    With `at_least_px`, a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, the shorter side never below
    that many pixels, and so are pictures of other formats of over 24 million pixels. Raises BadPhoto.
    """
    with _opened(data, max_pixels, max_bytes) as image:
        try:
            if image.format == "PNG":
                image.load()  # before its EXIF is asked for: Pillow would load it then, and what failed is forgotten
            header = header_of(image)
            if at_least_px is not None:
                image.draft(None, (at_least_px, at_least_px))
            image.load()
            if header.format == "PNG" and _png_is_damaged(data):
                raise OSError("a part of it is not what was written (checksum)")
            return header, upright_rgb(image, at_least_px)
        except Exception as error:  # decoders of hostile files raise nearly anything
            raise BadPhoto(_reason(error)) from error


def shrink(image: Image.Image, shorter_side_px: int) -> Image.Image:
    """The same picture with its shorter side at `shorter_side_px`; smaller pictures are left as they are."""
    scale = shorter_side_px / min(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)


def to_square(image: Image.Image, how: Preprocess) -> UInt8Array:
    """The model's view of an upright RGB picture: uint8 (S, S, 3)."""
    side = how.size_px
    resample = _INTERPOLATION[how.interpolation]
    width, height = image.size
    match how.resize:
        case "crop":
            box = seen_box(width, height, how)
            square = image.resize((side, side), resample, box=box, reducing_gap=REDUCING_GAP)
        case "squash":
            square = image.resize((side, side), resample, reducing_gap=REDUCING_GAP)
        case "pad":
            scale = side / max(width, height)
            inner = (max(1, round(width * scale)), max(1, round(height * scale)))
            square = Image.new("RGB", (side, side), _PAD_RGB)
            offset = ((side - inner[0]) // 2, (side - inner[1]) // 2)
            square.paste(image.resize(inner, resample, reducing_gap=REDUCING_GAP), offset)
    return np.asarray(square)


def seen_box(width_px: int, height_px: int, how: Preprocess) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in pixels of an upright picture, of what the square of `to_square` shows.

    With "pad" that is more than the picture: what lies outside of it is the letterbox.
    """
    match how.resize:
        case "crop":
            edge = min(width_px, height_px) * how.crop_fraction
        case "squash":
            return 0.0, 0.0, float(width_px), float(height_px)
        case "pad":
            edge = max(width_px, height_px)
    return (width_px - edge) / 2, (height_px - edge) / 2, (width_px + edge) / 2, (height_px + edge) / 2


def model_input(data: bytes, how: Preprocess) -> UInt8Array:
    """Bytes of a photo to uint8 (S, S, 3), ready for the model. Raises BadPhoto."""
    # The wanted square may be cut from the shorter side, so that side decides how far to reduce.
    _, image = decode(data, at_least_px=int(how.size_px * REDUCING_GAP))
    return to_square(image, how)


def to_jpeg(image: Image.Image, quality: int) -> bytes:
    """JPEG bytes without any metadata: no EXIF, no GPS, no comment, no colour profile."""
    buffer = io.BytesIO()
    # Of all that Pillow remembers of the file that a picture came from, it would write the comment again by itself.
    image.save(buffer, "JPEG", quality=quality, subsampling=0, comment=b"")
    return buffer.getvalue()


def sniff(head: bytes) -> Literal["vector", "heif", "other"]:
    """What the first bytes (64 are enough) say: an SVG or PDF drawing, a HEIF container, or anything else."""
    start = head.lstrip()[:64].lower()
    if start.startswith((b"<svg", b"%pdf", b"%!ps")) or (start.startswith(b"<?xml") and b"svg" in head[:512].lower()):
        return "vector"
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return "heif"
    return "other"


def _opened(data: bytes, max_pixels: int, max_bytes: int) -> Image.Image:
    if not data:
        raise BadPhoto("empty file")
    if len(data) > max_bytes:
        raise BadPhoto(f"{len(data) / 2**20:.0f} MB, over the limit of {max_bytes / 2**20:.0f} MB")
    kind = sniff(data[:512])
    if kind == "vector":
        raise NotAPhoto("a vector drawing (SVG, PDF or PostScript), not a photo")
    if kind == "heif":
        # Imported on the first HEIC only: the decoder costs 90 ms, and registering it twice is harmless.
        import pi_heif

        pi_heif.register_heif_opener()
    file = costs.Metered(data)
    try:
        costs.check_bytes(data)
        image = Image.open(file, formats=[f for f in FORMATS if f != "HEIF" or kind == "heif"])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadPhoto(f"more pixels than the limit of {max_pixels / 1e6:.0f} million") from error
    except UnidentifiedImageError as error:
        if data.startswith(_SIGNATURES) or kind == "heif":
            raise BadPhoto("damaged: its header cannot be read") from error
        raise NotAPhoto("not a photo in a known format") from error
    except Exception as error:  # parsers of hostile files raise nearly anything
        raise BadPhoto(_reason(error)) from error
    n_pixels = image.width * image.height
    if n_pixels > max_pixels:
        raise BadPhoto(f"{n_pixels / 1e6:.0f} million pixels, over the limit of {max_pixels / 1e6:.0f} million")
    try:
        costs.check_opened(image, data, file.tell())
    except Exception as error:  # of tags that are not what they should be, too
        raise BadPhoto(_reason(error)) from error
    file.is_open()
    return image


def _png_is_damaged(data: bytes) -> bool:
    """Whether a chunk that the picture is made of has a wrong checksum, over which Pillow passes in silence."""
    view, at = memoryview(data), len(b"\x89PNG\r\n\x1a\n")
    while at + 12 <= len(view):
        end = at + 8 + int.from_bytes(view[at : at + 4])
        kind = bytes(view[at + 4 : at + 8])
        if kind == b"IEND" or end + 4 > len(view):  # where it ends too early, the decoder says so
            return False
        if kind in _PNG_CRITICAL and zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return True
        at = end + 4
    return False


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    text = " ".join(str(error).split())[:200]
    if isinstance(error, costs.TooCostly):
        return text
    if "truncated" in text or "Truncated" in text:
        return "truncated: the file ends before the photo does"
    return f"damaged: {text or type(error).__name__}"
