"""Small photos in every variant of PNM and WebP, good and bad: image-rs keeps seeds for fuzzing of these two."""

from __future__ import annotations

import struct

import numpy as np

from tests.serving.photos import encoded, picture

_SIZE = (24, 18)
_GREY = bytes(range(0, 216, 9)) * 18  # of 24 x 18


def pnm() -> dict[str, bytes]:
    """The portable maps: plain and raw bitmaps, greymaps, pixmaps and floats, and headers that lie."""
    words = b" ".join(b"%d" % level for level in _GREY)
    floats = (np.frombuffer(_GREY, np.uint8) / 216).astype("<f4").tobytes()
    raw = encoded(picture("blue", _SIZE), "PPM")
    good = {
        "P1": b"P1 24 18\n" + b"01" * 216,
        "P2": b"P2 24 18 255\n" + words,
        "P3": b"P3 24 18 255\n" + words + b" " + words + b" " + words,
        "P4": b"P4 24 18\n" + bytes(range(54)),
        "P5": b"P5 24 18 255\n" + _GREY,
        "P5 of 16 bits": b"P5 24 18 65535\n" + _GREY + _GREY,
        "P5 up to 1": b"P5 24 18 1\n" + bytes(level & 1 for level in _GREY),
        "P6": raw,
        "P6 with comments": b"P6 # six\n#\n24\n# and\n18 255\n" + raw[-1296:],
        "P6 with tabs and returns": b"P6\t24\r18\v255\f" + raw[-1296:],
        "Pf": b"Pf 24 18 -1.0\n" + floats,
        "PF": b"PF 24 18 -1.0\n" + floats * 3,
    }
    bad = {
        "P6 of 2^31 x 2^31": b"P6 2147483648 2147483648 255\n" + raw,
        "P6 of 30 digits": b"P6 " + b"9" * 30 + b" 1 255\n",
        "P6 of -1 x 1": b"P6 -1 1 255\n" + raw,
        "P6 of 0 x 18": b"P6 0 18 255\n" + raw,
        "P5 up to 0": b"P5 24 18 0\n" + _GREY,
        "P5 up to 65536": b"P5 24 18 65536\n" + _GREY * 2,
        "P3 with words": b"P3 24 18 255\nred green blue",
        "P3 with a level that is too high": b"P3 24 18 255\n" + words.replace(b"207", b"999") * 3,
        "P2 with a level of 100 kB": b"P2 24 18 255\n" + b"1" * 100_000,
        "P6 whose comment never ends": b"P6 #" + b"x" * 100_000,
        "P1 with twos": b"P1 24 18\n" + b"2" * 432,
        "Pf of scale 0": b"Pf 24 18 0\n" + floats,
        "Pf of no numbers": b"Pf 24 18 -1\n" + b"\xff" * len(floats),
        "P6 without pixels": b"P6 24 18 255\n",
        "P6 without its last pixel": raw[:-1],
        "P9": b"P9 24 18 255\n" + raw,
    }
    return good | bad


def webp() -> dict[str, bytes]:
    """Lossy and lossless, with alpha, animated, with metadata; and pieces that are longer or larger than may be."""
    blue, red = picture("blue", _SIZE), picture("red", _SIZE)
    clear = blue.copy()
    clear.putalpha(120)
    good = {
        "WebP": encoded(blue, "WEBP"),
        "lossless WebP": encoded(blue, "WEBP", lossless=True),
        "WebP with alpha": encoded(clear, "WEBP"),
        "lossless WebP with alpha": encoded(clear, "WEBP", lossless=True),
        "animated WebP": encoded(blue, "WEBP", save_all=True, append_images=[red, blue]),
        "WebP with metadata": encoded(blue, "WEBP", exif=b"Exif\0\0II*\0", xmp=b"<x/>", icc_profile=b"no profile"),
    }
    lossy, animated, alpha = good["WebP"], good["animated WebP"], good["WebP with alpha"]
    return good | {
        "WebP of 2^32 - 1 bytes": lossy[:4] + b"\xff" * 4 + lossy[8:],
        "WebP of 4 bytes": lossy[:4] + struct.pack("<I", 4) + lossy[8:],
        "WebP whose first piece has 2^32 - 1": lossy[:16] + b"\xff" * 4 + lossy[20:],
        "WebP whose first piece has none": lossy[:16] + bytes(4) + lossy[20:],
        "WebP of 16383 x 16383": _with(lossy, b"\x9d\x01\x2a", b"\xff\x3f\xff\x3f"),
        "WebP with a canvas of 2^24 x 2^24": _with(alpha, b"VP8X\x0a\0\0\0" + alpha[20:24], b"\xff" * 6),
        "WebP whose alpha is noise": _with(alpha, b"ALPH", b"\x10\0\0\0\x01" + b"\xaa" * 20),
        "animated WebP with a frame outside": _with(
            animated, b"ANMF" + animated[_at(animated, b"ANMF") :][:4], b"\xff" * 6
        ),
        "animated WebP of one frame that is cut": animated[: _at(animated, b"ANMF") + 30],
        "WebP of no piece": lossy[:12],
        "WebP of a piece that nobody knows": lossy[:12] + b"ZZZZ\x04\0\0\0data",
    }


def _at(data: bytes, mark: bytes) -> int:
    return data.index(mark) + len(mark)


def _with(data: bytes, mark: bytes, changed: bytes) -> bytes:
    """Other bytes behind a mark."""
    start = _at(data, mark)
    return data[:start] + changed + data[start + len(changed) :]
