"""Bytes of a photo to an upright RGB model input: the only pixel path, without torch.

Preparing, training, evaluating, predicting and serving all come through here, so they cannot differ.

Shapes: H height, W width, C = 3 channels (RGB), S = `Preprocess.size_px`.
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from fledged import costs
from fledged.products import Preprocess

UInt8Array = npt.NDArray[np.uint8]

# "MPO" is left out on purpose: Pillow's MPO plugin raises KeyError on other files, and its JPEG plugin
# opens the first picture of an MPO anyway.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM", "TIFF", "AVIF", "HEIF")

# Pillow warns above this many pixels and refuses above twice as many; we refuse at the lower one.
MAX_PIXELS = 89_478_485
MAX_BYTES = 100 * 2**20

# Larger pictures are shrunk while they become RGB, as JPEGs are while they are decoded; in pieces of so many pixels.
_LARGE_PIXELS = 24_000_000
_PIECE_PIXELS = 1_000_000

# Pillow decodes and shrinks to no less than this many times the wanted size before the exact resampling:
# far faster on large photos, and hardly different (Pillow's own default in Image.thumbnail).
REDUCING_GAP = 2.0

HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}

# Files that start so are meant to be photos, even where the rest cannot be read.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")

# EXIF orientation (tag 0x0112) to what sets the photo upright. https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf
_ORIENTATION_TAG = 0x0112
_WIDTH_TAG, _HEIGHT_TAG = 0x0100, 0x0101
# https://www.w3.org/TR/png-3/#5Chunk-layout
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT")
_MAKE_TAG, _MODEL_TAG, _TAKEN_TAG = 0x010F, 0x0110, 0x9003
_EXIF_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d) (\d\d:\d\d:\d\d)")
_PLACE_IN_XMP = re.compile(rb"GPSLatitude(\s*=\s*[\"'][^\"'\s]|\s*>\s*[^<\s])")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

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


@dataclass(frozen=True, slots=True)
class Header:
    """What a photo says of itself before it is decoded; width and height are upright, in pixels."""

    format: str
    width_px: int
    height_px: int
    orientation: int  # EXIF 1..8, 1 = already upright
    n_frames: int
    camera: str | None = None  # EXIF maker and model
    taken_at: str | None = None  # EXIF time of the shot, ISO 8601, in the camera's own time zone
    has_gps: bool = False  # EXIF or XMP says where it was taken


def read_header(data: bytes, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Header:
    """Format and upright size, without decoding the pixels. Raises BadPhoto."""
    with _opened(data, max_pixels, max_bytes) as image:
        return _header(image)


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
            header = _header(image)
            if at_least_px is not None:
                image.draft(None, (at_least_px, at_least_px))
            image.load()
            if header.format == "PNG" and _png_is_damaged(data):
                raise OSError("a part of it is not what was written (checksum)")
            return header, _upright_rgb(image, at_least_px)
        except Exception as error:  # decoders of hostile files raise nearly anything
            raise BadPhoto(_reason(error)) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """A picture that is already open, set upright by its EXIF orientation, in RGB; what is transparent turns white."""
    image.load()
    return _upright_rgb(image)


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


def _header(image: Image.Image) -> Header:
    orientation = _orientation(image)
    width, height = _stored_size(image)
    if orientation >= 5:
        width, height = height, width
    # A phone's multi-picture JPEG is a JPEG to everybody but Pillow.
    name = "JPEG" if image.format == "MPO" else str(image.format)
    return Header(name, width, height, orientation, _n_frames(image), *_camera_time_place(image))


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before any turn; of a TIFF, Pillow tells those after it."""
    tags = getattr(image, "tag_v2", None)
    return image.size if tags is None else (int(tags[_WIDTH_TAG]), int(tags[_HEIGHT_TAG]))


def _n_frames(image: Image.Image) -> int:
    """1 where nothing good follows the first frame, which is all that is looked at."""
    if image.format not in ("GIF", "WEBP"):
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # Pillow's parser of GIF raises IndexError where a frame ends in its header
        return 1


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block does not make a photo unreadable
        return 1
    return int(value) if value in _UPRIGHT else 1


def _camera_time_place(image: Image.Image) -> tuple[str | None, str | None, bool]:
    """Camera, time of the shot, and whether there is a place; None where the metadata do not say."""
    has_gps = False
    try:
        exif = image.getexif()
        # Programs that develop and tag photos write into XMP, some of them there alone.
        has_gps = _PLACE_IN_XMP.search(_bytes(image.info.get("xmp"))) is not None
        if not exif:
            return None, None, has_gps
        camera = " ".join(str(exif[tag]).strip("\0 ") for tag in (_MAKE_TAG, _MODEL_TAG) if exif.get(tag))
        taken = str(exif.get_ifd(ExifTags.IFD.Exif).get(_TAKEN_TAG) or "").strip("\0 ")
        # Without reception a camera writes the block all the same, with its version and no place.
        has_gps = has_gps or ExifTags.GPS.GPSLatitude in exif.get_ifd(ExifTags.IFD.GPSInfo)
        return camera[:100] or None, _time(taken), has_gps
    except Exception:  # a broken EXIF block does not make a photo unreadable
        return None, None, has_gps


def _bytes(value: object) -> bytes:
    return value.encode(errors="replace") if isinstance(value, str) else value if isinstance(value, bytes) else b""


def _time(exif_time: str) -> str | None:
    """ISO 8601; None for what is no moment, such as the 0000:00:00 of a camera whose clock was never set."""
    match = _EXIF_TIME.fullmatch(exif_time)
    if match is None:
        return None
    try:
        return datetime.fromisoformat("{}-{}-{}T{}".format(*match.groups())).isoformat()
    except ValueError:
        return None


def _upright_rgb(image: Image.Image, at_least_px: int | None = None) -> Image.Image:
    """Of a picture that is loaded: a TIFF is turned by that, and then has no orientation any more."""
    picture = _to_rgb(image, _reduction(image.size, at_least_px))
    turn = _UPRIGHT.get(_orientation(image))
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


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    text = " ".join(str(error).split())[:200]
    if isinstance(error, costs.TooCostly):
        return text
    if "truncated" in text or "Truncated" in text:
        return "truncated: the file ends before the photo does"
    return f"damaged: {text or type(error).__name__}"
