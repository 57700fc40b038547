"""Shrunk copies: small, upright, and without anything but the picture."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from demo.drawing import draw_photo
from fledged.copies import shrink_file


def revealing(format_: str) -> bytes:
    """A photo with a camera, a place, a comment, a text and a colour profile, as far as the format holds them."""
    exif = Image.Exif()
    exif[0x010F], exif[0x013B], exif[0x0112] = "SECRET-CAMERA", "SECRET-ARTIST", 6
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (52.0, 31.0, 12.0)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET-TEXT")
    extras: dict[str, dict[str, object]] = {"JPEG": {"comment": b"SECRET-COMMENT"}, "PNG": {"pnginfo": text}}
    buffer = io.BytesIO()
    photo = draw_photo("flying_bird", 4, (480, 360))
    photo.save(
        buffer, format_, exif=exif, xmp=b"<x>SECRET-XMP</x>", icc_profile=b"SECRET-PROFILE", **extras.get(format_, {})
    )
    return buffer.getvalue()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_shrunk_copy_carries_no_metadata(tmp_path: Path, format_: str) -> None:
    data = revealing(format_)
    assert b"SECRET" in data  # or this test could not fail
    path = tmp_path / "photo"
    path.write_bytes(data)
    copy = shrink_file((str(path), hashlib.sha256(data).hexdigest()), shorter_side_px=96, jpeg_quality=92)
    assert copy.jpeg is not None
    assert b"SECRET" not in copy.jpeg
    assert b"Exif" not in copy.jpeg
    image = Image.open(io.BytesIO(copy.jpeg))
    assert image.size == (96, 128)  # turned as EXIF said
    assert not image.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(image.info)


def test_a_file_that_is_another_one_by_now_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    draw_photo("flying_bird", 1, (96, 72)).save(path)
    assert shrink_file((str(path), "0" * 64), 64, 92).error == "changed since the scan"
    assert shrink_file((str(tmp_path / "gone.jpg"), "0" * 64), 64, 92).error == "vanished since the scan"


def test_a_disk_that_fails_leaves_no_photo_out(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.symlink_to(path)  # the system cannot open it, and it is not gone
    with pytest.raises(OSError, match=r"photo\.jpg"):
        shrink_file((str(path), "0" * 64), 64, 92)
