"""Photos that are meant to harm: bombs, vector drawings, damaged ones by the thousand."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.serving.photos import encoded, jpeg, of_all_kinds, picture
from tests.serving.security.asking import check_alive

GROUP = "Photos"
# A folder of hostile photos, such as Tests/images of Pillow's source.
HOSTILE = os.environ.get("FLEDGED_HOSTILE_PHOTOS", "")


def png(width: int, height: int, data: bytes = b"", colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG that says it is of this size, whatever it holds."""

    def piece(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = piece(b"IHDR", head) + extra + piece(b"IDAT", zlib.compress(data)) + piece(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def ztxt(n_bytes: int) -> bytes:
    body = b"Comment\0\0" + zlib.compress(bytes(n_bytes), 9)
    return struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))


def forged_jpeg(width: int, height: int) -> bytes:
    photo = bytearray(jpeg())
    at = photo.index(b"\xff\xc0") + 5
    photo[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(photo)


def frames(n: int) -> bytes:
    buffer = io.BytesIO()
    first = Image.new("P", (400, 400))
    first.save(buffer, "GIF", save_all=True, append_images=[Image.new("P", (400, 400), i % 200) for i in range(n)])
    return buffer.getvalue()


def looped_tiff() -> bytes:
    """The next directory of the first one is the first one."""
    tiff = bytearray(encoded(picture("red", (20, 20)), "TIFF"))
    start = struct.unpack_from("<I", tiff, 4)[0]
    entries = struct.unpack_from("<H", tiff, start)[0]
    struct.pack_into("<I", tiff, start + 2 + 12 * entries, start)
    return bytes(tiff)


def forged_tiff() -> bytes:
    tiff = bytearray(encoded(picture("red", (20, 20)), "TIFF"))
    start = struct.unpack_from("<I", tiff, 4)[0]
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", tiff, start)[0], 12):
        if struct.unpack_from("<H", tiff, at)[0] in (256, 257):
            struct.pack_into("<HII", tiff, at + 2, 4, 1, 65_535)
    return bytes(tiff)


SVG = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
LAUGHS = b"<svg>" + b"<!ENTITY a '&b;&b;&b;'>" * 1000 + b"</svg>"

# A photo and the statuses that are right.
CASES: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "P01 a PNG that says 65535 x 65535": (lambda: png(65_535, 65_535), {422}),
    "P02 a PNG that says 2^31 x 1": (lambda: png(2**31 - 1, 1), {422}),
    "P03 a PNG that says 0 x 0": (lambda: png(0, 0), {415, 422}),
    "P04 a PNG of 100 million pixels in 100 kB": (
        lambda: encoded(Image.new("1", (12_000, 9_000)), "PNG"),
        {422},
    ),
    "P05 a PNG with a comment of 200 MB": (lambda: png(8, 8, bytes(25 * 8), extra=ztxt(200 * 2**20)), {200, 422}),
    "P06 a PNG whose pixels are 100 MB too many": (lambda: png(8, 8, bytes(100 * 2**20)), {200, 422}),
    "P07 a JPEG that says 65535 x 65535": (lambda: forged_jpeg(65_535, 65_535), {422}),
    "P08 a JPEG that says 0 x 0": (lambda: forged_jpeg(0, 0), {415, 422}),
    "P09 a GIF of 500 frames": (lambda: frames(500), {200}),
    "P10 a TIFF whose directory leads to itself": (looped_tiff, {200, 422}),
    "P11 a TIFF that says 65535 x 65535": (forged_tiff, {422}),
    "P12 a PPM that says 10^9 x 10^9": (lambda: b"P6 1000000000 1000000000 255\n" + bytes(100), {415, 422}),
    "P13 a BMP that says 2^31 x 2^31": (
        lambda: (
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0)
        ),
        {415, 422},
    ),
    "P14 a JPEG and a zip in one file": (lambda: jpeg() + b"PK\x03\x04" + bytes(100), {200}),
    "P15 HTML that says it is a JPEG": (lambda: b"\xff\xd8\xff<script>alert(1)</script>", {415, 422}),
    "P16 a PDF": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", {415}),
    "P17 EPS, for which Pillow would start Ghostscript": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        {415},
    ),
    "P18 a FITS file, of a format that is not among ours": (
        lambda: b"SIMPLE  =                    T" + bytes(2850),
        {415},
    ),
    "P19 a pickle": (lambda: b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.", {415}),
    "P20 an ONNX model": (lambda: b"\x08\x08\x12\x07pytorch:\x80\x01", {415}),
    "P21 a photo with a GPS place": (lambda: with_gps(), {200}),
    "P22 EXIF that is damaged": (
        lambda: jpeg()[:2] + b"\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff" + jpeg()[2:],
        {200, 422},
    ),
    "S01 SVG with an entity that names a file": (lambda: SVG, {415}),
    "S02 SVG with entities in entities": (lambda: LAUGHS, {415}),
    "S03 SVG with a script": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", {415}),
}


def with_gps() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return encoded(picture("red"), "JPEG", exif=exif)


@pytest.mark.parametrize("case", CASES)
def test_photos(safe_url: str, case: str) -> None:
    make, expected = CASES[case]
    answer = httpx.post(f"{safe_url}/classify", content=make(), timeout=60)
    assert answer.status_code in expected, answer.text
    assert "passwd" not in answer.text
    assert answer.elapsed.total_seconds() < 30
    check_alive(safe_url)


def test_m01_damaged_photos_of_every_kind_are_answered_or_refused(safe_url: str) -> None:
    """M01 400 seeded damages of every kind of photo: flipped bits, cuts, zeroes, doubled pieces"""
    draw = random.Random(20)
    kinds = list(of_all_kinds().values())
    with httpx.Client(base_url=safe_url, timeout=60) as client:
        for number in range(400):
            photo = bytearray(kinds[number % len(kinds)])
            for _ in range(draw.randint(1, 8)):
                at = draw.randrange(len(photo))
                match draw.randrange(4):
                    case 0:
                        photo[at] ^= 1 << draw.randrange(8)
                    case 1:
                        del photo[at : at + draw.randint(1, 40)]
                    case 2:
                        photo[at : at + 4] = b"\xff" * 4
                    case 3:
                        photo[at:at] = photo[at : at + draw.randint(1, 40)]
                photo = photo or bytearray(b"\0")
            answer = client.post("/classify", content=bytes(photo))
            assert answer.status_code in (200, 400, 415, 422), (number, answer.text)
    check_alive(safe_url)


@pytest.mark.skipif(not HOSTILE, reason="FLEDGED_HOSTILE_PHOTOS names no folder of hostile photos")
def test_m02_a_corpus_of_hostile_photos(safe_url: str) -> None:
    """M02 every file of a corpus, such as the 1,060 of Pillow's Tests/images"""
    counts: dict[int, int] = {}
    with httpx.Client(base_url=safe_url, timeout=60) as client:
        for file in sorted(path for path in Path(HOSTILE).rglob("*") if path.is_file()):
            status = client.post("/classify", content=file.read_bytes()).status_code
            assert status in (200, 400, 413, 415, 422), file
            counts[status] = counts.get(status, 0) + 1
    print(counts)
    assert sum(counts.values()) > 100
    check_alive(safe_url)
