"""What a photo may cost to read, told before its pixels are decoded: small files can ask for minutes and gigabytes.

The limits are far above what cameras and programs write; what they refuse is named in docs/reliability.md.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

# Pillow parses headers in loops of Python with a few reads a turn; photos take some hundred until they are open.
_READS_TO_OPEN = 10_000
_READS = 50_000
_BYTES_A_READ = 64  # more of them in larger files: an animation's data lie in blocks of at most 255 bytes
# Each scan of a progressive JPEG goes through all of the picture again; encoders write about ten.
_MAX_SCANS = 64
_MAX_SEGMENTS = 10_000
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SCAN, _END, _WITHOUT_LENGTH = 0xDA, 0xD9, (0x01, 0xD8)
_DENSE, _MAX_USUAL_BYTES = (b"\xff\xc3", b"\xff\xc9"), 5 * 2**20  # lossless and arithmetic coding: scans of few bytes
_EXIF, _MAX_EXIF_SEGMENTS = b"Exif\0\0", 32
# All coefficients of a progressive JPEG are in memory at once, 2 bytes each.
_MAX_COEFFICIENT_BYTES = 300_000_000
# Netpbm in letters and run-length BMP are decoded in Python.
_PLAIN_NETPBM, _MAX_PLAIN_BYTES, _MAX_PLAIN_COMMENTS = (b"P1", b"P2", b"P3"), 16 * 2**20, 1000
_MAX_RLE_PIXELS = 16_000_000
# Their decoders unpack all at once, several times over: 16, 11 and 7 bytes of memory a pixel were measured.
_MAX_PIXELS = {"WEBP": 25_000_000, "AVIF": 36_000_000, "HEIF": 50_000_000}
# Strips, tiles and other lists of a TIFF become objects of Python.
_MAX_TIFF_VALUES = 2**18
_TIFF_BYTES = (1, 2, 6, 7)  # kinds of values that stay bytes
# A strip or tile that is compressed is unpacked beside the picture.
_MAX_PIECE_BYTES = 128 * 2**20
_STRIP_ROWS_TAG, _TILE_WIDTH_TAG, _TILE_ROWS_TAG, _COMPRESSION_TAG, _BITS_TAG = 278, 322, 323, 259, 258


class TooCostly(OSError):
    """Reading this would take too long, or too much memory; the message is the reason."""


class Metered(io.BytesIO):
    """The bytes of a photo, which may be asked for only so often. Raises TooCostly."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = _READS_TO_OPEN
        self._more = _READS + len(data) // _BYTES_A_READ

    def is_open(self) -> None:
        """The header is read: from now on there may be more reads."""
        self._left += self._more
        self._more = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        self._left -= 1
        if self._left < 0:
            raise TooCostly("it has too many parts")
        return super().read(size)


def check_bytes(data: bytes) -> None:
    """Raises TooCostly for what a parser must not even begin with."""
    if data.startswith(_PLAIN_NETPBM):
        if len(data) > _MAX_PLAIN_BYTES:
            raise TooCostly(f"a picture in letters, over the limit of {_MAX_PLAIN_BYTES / 2**20:.0f} MB")
        if data.count(b"#") > _MAX_PLAIN_COMMENTS:
            raise TooCostly("it has too many comments")
    elif data.startswith(b"\xff\xd8") and len(data) > _MAX_EXIF_SEGMENTS * 2**16:  # the longest that they can be
        # Pillow puts each behind those before by copying all of them.
        if data.count(_EXIF) > _MAX_EXIF_SEGMENTS:
            raise TooCostly("it has too many parts")
    elif data.startswith((b"II", b"MM")) and _most_values(data) > _MAX_TIFF_VALUES:
        raise TooCostly("it has too many parts")


def check_opened(image: Image.Image, data: bytes, n_header: int) -> None:
    """Raises TooCostly for what must not be decoded, judged by its header, the first `n_header` bytes."""
    if image.format in ("JPEG", "MPO"):
        # Counting would take a twentieth of the time of a usual photo, whose scans cost their bytes as well.
        is_usual = not image.info.get("progressive") and not any(kind in data[:n_header] for kind in _DENSE)
        if is_usual and len(data) <= _MAX_USUAL_BYTES:
            return
        if data.count(b"\xff\xda") > _MAX_SCANS and _n_scans(data) > _MAX_SCANS:
            raise TooCostly(f"over {_MAX_SCANS} scans")
        if image.info.get("progressive") and _coefficient_bytes(image) > _MAX_COEFFICIENT_BYTES:
            raise TooCostly("too many pixels for a progressive JPEG")
    n_pixels, limit = image.width * image.height, _MAX_PIXELS.get(str(image.format))
    if limit and n_pixels > limit:
        of_format = f"the limit of {limit / 1e6:.0f} million of {image.format}"
        raise TooCostly(f"{n_pixels / 1e6:.0f} million pixels, over {of_format}")
    if image.format == "TIFF" and _piece_bytes(image) > _MAX_PIECE_BYTES:
        raise TooCostly("its strips or tiles are too large")
    tiles = getattr(image, "tile", ())
    if tiles and tiles[0].codec_name == "bmp_rle" and n_pixels > _MAX_RLE_PIXELS:
        raise TooCostly(f"run-length coded and over {_MAX_RLE_PIXELS / 1e6:.0f} million pixels")


def _n_scans(jpeg: bytes) -> int:
    """Scans of the first picture; those in the thumbnails of its header do not count, nor a second picture."""
    return sum(kind == _SCAN for kind in _markers(jpeg))


def _markers(jpeg: bytes) -> Iterator[int]:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(jpeg, at)
        if marker is None or (kind := jpeg[marker.start() + 1]) == _END:
            return
        yield kind
        at = marker.end()
        # Compressed data follow a scan's header; 0xFF is followed by 0 or a restart in them, which are no markers here.
        at += 0 if kind in _WITHOUT_LENGTH else int.from_bytes(jpeg[at : at + 2])
    raise TooCostly("it has too many parts")


def _coefficient_bytes(image: Image.Image) -> float:
    sampling: list[int] = [horizontal * vertical for _, horizontal, vertical, _ in getattr(image, "layer", ())]
    return 2.0 * image.width * image.height * float(sum(sampling)) / float(max(sampling, default=1))


def _piece_bytes(image: Image.Image) -> int:
    """Of the largest compressed strip or tile of a TIFF."""
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    if tags.get(_COMPRESSION_TAG, 1) == 1:
        return 0
    bits = tags.get(_BITS_TAG, (1,))
    n_bits = sum(bits) if isinstance(bits, tuple) else int(bits)
    if _TILE_WIDTH_TAG in tags:
        return int(tags[_TILE_WIDTH_TAG]) * int(tags.get(_TILE_ROWS_TAG, 1)) * n_bits // 8
    return min(int(tags.get(_STRIP_ROWS_TAG, image.height)), image.height) * image.width * n_bits // 8


def _most_values(tiff: bytes) -> int:
    """The longest list of values of the first directory that is not of bytes."""
    order = "<" if tiff.startswith(b"II") else ">"
    is_big = b"+" in tiff[2:4]
    place, count, entry = ("Q", "Q", "HHQ8x") if is_big else ("L", "H", "HHL4x")
    size = struct.calcsize(order + entry)
    try:
        (at,) = struct.unpack_from(order + place, tiff, 8 if is_big else 4)
        (n,) = struct.unpack_from(order + count, tiff, at)
        if n > _MAX_TIFF_VALUES:
            return int(n)
        at += struct.calcsize(order + count)
        entries = struct.iter_unpack(order + entry, tiff[at : at + size * min(n, (len(tiff) - at) // size)])
        return max((values for _, kind, values in entries if kind not in _TIFF_BYTES), default=0)
    except (struct.error, OverflowError):
        return 0  # Pillow says what is wrong
