"""Photos of few bytes that ask for minutes or gigabytes: each is refused, or takes no more than others."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.serving.photos import encoded, picture

_N = 2**19  # bytes of padding; a hundred times as much takes no other way
_SIDE = 9400  # nearly the most pixels that are taken
_SIZE = (24, 18)


def _png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _flat(mode: str, format_: str, **options: object) -> bytes:
    return encoded(Image.new(mode, (_SIDE, _SIDE)), format_, **options)


def _inside(data: bytes, at: int, more: bytes, times: int) -> bytes:
    return data[:at] + more * times + data[at:]


def _rle(data: bytes, width: int, height: int) -> bytes:
    """A run-length coded BMP of 256 colours."""
    start = 14 + 40 + 1024
    head = b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0) + bytes(1024) + data


def tiff(*more: tuple[int, int, int, int], width: int = 24, height: int = 18) -> bytes:
    """A grey TIFF with further tags: number, kind, how many values, the first of them or where they are."""
    usual = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags = {tag[0]: tag for tag in (*usual, (273, 4, 1, 8), *more)}
    entries = b"".join(struct.pack("<HHII", *tags[number]) for number in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + bytes(2**20 * 4)


def many_scans(n: int, side: int = 64, *, progressive: bool = True) -> bytes:
    """A JPEG whose last scan is there `n` times more: some bytes each, and a way through all of it."""
    jpeg = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=progressive)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last * n + jpeg[-2:]


def _gif_frames() -> bytes:
    frame = b"\x2c" + struct.pack("<4H", 0, 0, 1, 1) + b"\0\x02\0"
    return _inside(encoded(picture("blue", _SIZE), "GIF"), -1, frame, _N // len(frame))


def _gif_comment() -> bytes:
    gif = encoded(picture("blue", _SIZE), "GIF")
    return gif[:-1] + b"\x21\xfe" + (b"\xff" + bytes(255)) * (_N // 256) + b"\0" + gif[-1:]


def _png(kind: bytes, at: int) -> bytes:
    return _inside(encoded(picture("blue", _SIZE), "PNG"), at, _png_chunk(kind), _N // 12)


def _jpeg(more: bytes) -> bytes:
    return _inside(encoded(picture("blue", _SIZE), "JPEG"), 2, more, _N // len(more))


# In few bytes: refused.
REFUSED: dict[str, Callable[[], bytes]] = {
    "GIF of 43,000 frames": _gif_frames,
    "PNG with 43,000 chunks in front": lambda: _png(b"aaAa", 33),
    "PNG with 43,000 chunks of pixels without a byte": lambda: _png(b"IDAT", 33),
    "JPEG with 130,000 comments": lambda: _jpeg(b"\xff\xfe\0\2"),
    "JPEG with 500,000 fill bytes": lambda: _jpeg(b"\xff"),
    "JPEG with 260 blocks of EXIF": lambda: _inside(
        encoded(picture("blue", _SIZE), "JPEG"), 2, b"\xff\xe1\x20\0Exif\0\0" + bytes(8184), 260
    ),
    "JPEG of 300 scans": lambda: many_scans(300),
    "JPEG of 6 MB of scans, not progressive": lambda: many_scans(6 * 2**20 // 40, progressive=False),
    "JPEG of 88 million pixels, progressive, of all its colours": lambda: _flat(
        "RGB", "JPEG", progressive=True, subsampling=0
    ),
    "PPM with a comment of 500 kB": lambda: b"P6\n#" + b"x" * _N + b"\n24 18\n255\n" + bytes(1296),
    "PPM in letters with 260,000 comments": lambda: b"P3\n24 18\n255\n" + b"#\n" * (_N // 2) + b"1 " * 1296,
    "BMP of 81 million pixels, each row of which ends after one": lambda: _rle(b"\1\1\0\0" * 9000, 9000, 9000),
    "TIFF with a million strips": lambda: tiff((273, 4, 2**20, 8)),
    "TIFF with two million bits a sample": lambda: tiff((258, 3, 2**21, 8)),
    "TIFF of 88 million pixels in one strip": lambda: tiff((259, 3, 1, 5), (258, 3, 1, 32), width=_SIDE, height=_SIDE),
    "WebP of 88 million pixels in 34 bytes": lambda: _flat("RGB", "WEBP", lossless=True, method=0),
    "AVIF of 88 million pixels": lambda: _flat("L", "AVIF", speed=10),
}
# In little memory: taken.
TAKEN: dict[str, Callable[[], bytes]] = {
    "PNG of 88 million pixels with a palette that is transparent": lambda: _flat("P", "PNG", transparency=0),
    "PNG of 88 million pixels of 16 bits": lambda: _flat("I;16", "PNG"),
    "PNG of 88 million pixels with alpha": lambda: _flat("RGBA", "PNG"),
    "GIF with a comment of 500 kB behind its picture": _gif_comment,
    "JPEG of 30 scans": lambda: many_scans(20),
}
