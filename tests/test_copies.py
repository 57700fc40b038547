"""Shrunk copies: small, upright, and without anything but the picture."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from demo.drawing import draw_photo
from fledged.copies import copies_of, kept_copies, shrink_file
from fledged.engine import LOCAL
from fledged.progress import silent
from fledged.workspace import Workspace


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


@pytest.mark.parametrize("is_kept", [False, True])
def test_copies_come_in_the_order_of_the_photos_kept_or_not(is_kept: bool, tmp_path: Path) -> None:
    lake, workspace = tmp_path / "lake", Workspace(tmp_path / "work")
    lake.mkdir()
    for number in range(5):
        Image.new("RGB", (40, 30), (50 * number, 0, 0)).save(lake / f"{number}.jpg")
    shutil.copy(lake / "0.jpg", lake / "5.jpg")
    files = sorted(lake.iterdir())
    photos = pl.DataFrame(
        {
            "path": [file.name for file in files],
            "sha256": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
            "n_bytes": [file.stat().st_size for file in files],
            "mtime_ns": [file.stat().st_mtime_ns for file in files],
        }
    )
    if is_kept:  # two parts; photo 2 is unknown, and 3 has another time now
        kept = kept_copies((16, 92), workspace)
        for rows in (photos[[0, 3]], photos[[1, 4]]):
            jpegs = [b"kept " + sha256.encode() for sha256 in rows["sha256"]]
            kept.add(rows.select("sha256", copy=pl.lit("x"), jpeg=pl.Series(jpegs), outline=pl.lit(b"")))
        os.utime(lake / "3.jpg", (1, 1))
    made = list(copies_of(photos, str(lake), (16, 92), LOCAL, workspace, silent))
    is_fresh = [copy.jpeg is not None and copy.jpeg.startswith(b"\xff\xd8") for copy in made]
    assert is_fresh == [not is_kept or number in (2, 3) for number in range(6)]
    for number, copy in enumerate(made):
        assert copy.jpeg is not None
        if is_fresh[number]:
            red = np.asarray(Image.open(io.BytesIO(copy.jpeg)))[:, :, 0].mean()
            assert abs(red - (50 * number if number < 5 else 0)) < 3
        else:
            assert copy.jpeg == b"kept " + photos["sha256"][number].encode()


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
