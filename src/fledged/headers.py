"""What an open photo says of itself: format, upright size, orientation, camera, time and whether it has a place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from PIL import ExifTags, Image

# EXIF orientation (tag 0x0112) to what sets the photo upright. https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf
_ORIENTATION_TAG = 0x0112
_WIDTH_TAG, _HEIGHT_TAG = 0x0100, 0x0101
_MAKE_TAG, _MODEL_TAG, _TAKEN_TAG = 0x010F, 0x0110, 0x9003
_EXIF_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d) (\d\d:\d\d:\d\d)")
_PLACE_IN_XMP = re.compile(rb"GPSLatitude(\s*=\s*[\"'][^\"'\s]|\s*>\s*[^<\s])")


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


def header_of(image: Image.Image) -> Header:
    """Of a picture that is open."""
    orientation = orientation_of(image)
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


def orientation_of(image: Image.Image) -> int:
    """EXIF 1..8; 1, upright, where it does not say."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block does not make a photo unreadable
        return 1
    return int(value) if value in range(1, 9) else 1


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
