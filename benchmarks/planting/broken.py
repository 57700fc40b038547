"""Files that are called photos and cannot be read, and files that look odd and can."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.planting.sources import Source
from benchmarks.planting.writing import Lake, Truth

Rgb = Image.Image
_ORIENTATION = 0x0112
_HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><circle cx="32" cy="32" r="20"/></svg>\n'


def encoded(image: Rgb, form: str, **options: object) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def cut(data: bytes, share: float) -> bytes:
    """The first `share` of the bytes."""
    return data[: max(1, int(len(data) * share))]


def _jpeg_header(image: Rgb) -> bytes:
    """Everything up to where the pixels begin."""
    data = encoded(image, "JPEG", quality=88)
    return data[: data.index(b"\xff\xda")]


def _zip(image: Rgb) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", encoded(image, "JPEG"))
    return buffer.getvalue()


def _damaged_png(image: Rgb) -> bytes:
    """Zeros where the middle of the pixels was, as a bad disk leaves them."""
    data = bytearray(encoded(image, "PNG"))
    middle = len(data) // 2
    data[middle : middle + 512] = bytes(512)
    return bytes(data)


def _heic(image: Rgb) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return encoded(image, "HEIF", quality=70)


Write = Callable[[Rgb, np.random.Generator], tuple[bytes, str]]

BROKEN_KINDS: dict[str, Write] = {
    "JPEG cut at 2%": lambda image, rng: (cut(encoded(image, "JPEG"), 0.02), ".jpg"),
    "JPEG cut at 20%": lambda image, rng: (cut(encoded(image, "JPEG"), 0.2), ".jpg"),
    "JPEG cut at 50%": lambda image, rng: (cut(encoded(image, "JPEG"), 0.5), ".jpg"),
    "JPEG cut at 80%": lambda image, rng: (cut(encoded(image, "JPEG"), 0.8), ".jpg"),
    "JPEG cut at 98%": lambda image, rng: (cut(encoded(image, "JPEG"), 0.98), ".jpeg"),
    "progressive JPEG cut at 40%": lambda image, rng: (cut(encoded(image, "JPEG", progressive=True), 0.4), ".jpg"),
    "progressive JPEG cut at 95%": lambda image, rng: (cut(encoded(image, "JPEG", progressive=True), 0.95), ".jpg"),
    "PNG cut at 30%": lambda image, rng: (cut(encoded(image, "PNG"), 0.3), ".png"),
    "PNG cut at 95%": lambda image, rng: (cut(encoded(image, "PNG"), 0.95), ".png"),
    "PNG with a damaged middle": lambda image, rng: (_damaged_png(image), ".png"),
    "WebP cut at 60%": lambda image, rng: (cut(encoded(image, "WEBP"), 0.6), ".webp"),
    "GIF cut at 50%": lambda image, rng: (cut(encoded(image, "GIF"), 0.5), ".gif"),
    "BMP cut at 70%": lambda image, rng: (cut(encoded(image, "BMP"), 0.7), ".bmp"),
    "TIFF cut at 50%": lambda image, rng: (cut(encoded(image, "TIFF"), 0.5), ".tif"),
    "HEIC cut at 50%": lambda image, rng: (cut(_heic(image), 0.5), ".heic"),
    "JPEG header only": lambda image, rng: (_jpeg_header(image), ".jpg"),
    "PNG header only": lambda image, rng: (encoded(image, "PNG")[:33], ".png"),
    "zero bytes": lambda image, rng: (b"", ".jpg"),
    "one byte": lambda image, rng: (b"\xff", ".jpg"),
    "zeros": lambda image, rng: (bytes(20_000), ".jpg"),
    "random bytes": lambda image, rng: (rng.bytes(20_000), ".jpg"),
    "random bytes after a JPEG's signature": lambda image, rng: (b"\xff\xd8\xff\xe0" + rng.bytes(20_000), ".jpg"),
    "HTML": lambda image, rng: (_HTML, ".jpg"),
    "text": lambda image, rng: (b"please download the photo by hand\n", ".png"),
    "JSON": lambda image, rng: (b'{"error": "forbidden"}', ".jpg"),
    "ZIP": lambda image, rng: (_zip(image), ".jpg"),
    "SVG": lambda image, rng: (_SVG, ".jpg"),
    "SVG after an XML head": lambda image, rng: (b'<?xml version="1.0"?>\n' + _SVG, ".png"),
    "PDF": lambda image, rng: (encoded(image, "PDF"), ".jpg"),
    "MP4": lambda image, rng: (struct.pack(">I", 24) + b"ftypisom\0\0\2\0isomiso2" + rng.bytes(9000), ".jpg"),
}


def _rotated(image: Rgb, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return encoded(image, "JPEG", quality=88, exif=exif.tobytes())


def _with_alpha(image: Rgb) -> Rgb:
    clear = image.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda level: min(255, level * 2)))
    return clear


def _rgb16_png(image: Rgb) -> bytes:
    """PNG of 16 bits a channel, which Pillow reads and cannot write."""
    pixels = np.asarray(image).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", image.width, image.height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def _grey16(image: Rgb) -> Rgb:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _animated(image: Rgb) -> bytes:
    frames = [image.rotate(5 * step) for step in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def _broken_exif(image: Rgb) -> bytes:
    return encoded(image, "JPEG", quality=88, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x55" * 40)


GOOD_KINDS: dict[str, Write] = {
    "PNG called .jpg": lambda image, rng: (encoded(image, "PNG"), ".jpg"),
    "JPEG called .png": lambda image, rng: (encoded(image, "JPEG"), ".png"),
    "WebP called .jpg": lambda image, rng: (encoded(image, "WEBP"), ".jpg"),
    "GIF called .jpeg": lambda image, rng: (encoded(image, "GIF"), ".jpeg"),
    "HEIC": lambda image, rng: (_heic(image), ".heic"),
    "HEIC called .jpg": lambda image, rng: (_heic(image), ".jpg"),
    "AVIF": lambda image, rng: (encoded(image, "AVIF", quality=60, speed=9), ".avif"),
    "WebP": lambda image, rng: (encoded(image, "WEBP"), ".webp"),
    "BMP": lambda image, rng: (encoded(image, "BMP"), ".bmp"),
    "TIFF, LZW": lambda image, rng: (encoded(image, "TIFF", compression="tiff_lzw"), ".tif"),
    "PPM": lambda image, rng: (encoded(image, "PPM"), ".ppm"),
    "GIF": lambda image, rng: (encoded(image, "GIF"), ".gif"),
    "animated GIF": lambda image, rng: (_animated(image), ".gif"),
    "CMYK JPEG": lambda image, rng: (encoded(image.convert("CMYK"), "JPEG"), ".jpg"),
    "grey JPEG": lambda image, rng: (encoded(image.convert("L"), "JPEG"), ".jpg"),
    "progressive JPEG": lambda image, rng: (encoded(image, "JPEG", progressive=True), ".jpg"),
    "PNG, 16-bit grey": lambda image, rng: (encoded(_grey16(image), "PNG"), ".png"),
    "PNG, 16-bit RGB": lambda image, rng: (_rgb16_png(image), ".png"),
    "PNG with alpha": lambda image, rng: (encoded(_with_alpha(image), "PNG"), ".png"),
    "PNG, grey with alpha": lambda image, rng: (encoded(_with_alpha(image).convert("LA"), "PNG"), ".png"),
    "PNG with a palette": lambda image, rng: (encoded(image.quantize(64), "PNG"), ".png"),
    "PNG, 1 bit": lambda image, rng: (encoded(image.convert("1"), "PNG"), ".png"),
    "JPEG turned by EXIF 3": lambda image, rng: (_rotated(image, 3), ".jpg"),
    "JPEG turned by EXIF 6": lambda image, rng: (_rotated(image, 6), ".jpg"),
    "JPEG with broken EXIF": lambda image, rng: (_broken_exif(image), ".jpg"),
    "JPEG with bytes after its end": lambda image, rng: (encoded(image, "JPEG") + rng.bytes(500), ".jpg"),
    "JPEG called .JPG": lambda image, rng: (encoded(image, "JPEG"), ".JPG"),
    "JPEG called .jfif": lambda image, rng: (encoded(image, "JPEG"), ".jfif"),
}


def plant_broken(root: Path, sources: Sequence[Source], seed: int, per_kind: int = 2) -> Truth:
    """A lake of the photos, some of which are replaced by unreadable files and by odd ones that can be read."""
    rng = np.random.default_rng(seed)
    lake = Lake(root)
    planted = [*BROKEN_KINDS.items(), *GOOD_KINDS.items()] * per_kind
    if len(sources) < len(planted):
        raise ValueError(f"{len(planted)} photos are needed, and there are {len(sources)}")
    for (kind, write), source in zip(planted, sources, strict=False):
        data, suffix = write(source.image(), rng)
        path = lake.write(source.label, data, suffix, source.name)
        (lake.truth.broken if kind in BROKEN_KINDS else lake.truth.odd_but_good)[path] = kind
    for source in sources[len(planted) :]:
        lake.write_source(source)
    return lake.truth
