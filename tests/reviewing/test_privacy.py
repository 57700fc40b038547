"""A photo that tells where it was taken is a finding."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from PIL import ExifTags, Image

from demo.drawing import draw_photo
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.reviewing.privacy import gps_findings
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from tests.tiny import TINY


def test_the_place_is_found_from_the_file_to_the_review(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    exif = Image.Exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (52.0, 31.0, 12.0)
    for label in ("flying_bird", "winged_drone"):
        (lake / label).mkdir(parents=True)
        draw_photo(label, 1, (96, 72)).save(lake / label / "plain.jpg")
        draw_photo(label, 2, (96, 72)).save(lake / label / "placed.jpg", exif=exif)
    found = review(scan(lake, work=tmp_path / "work"), work=tmp_path / "work", train=TINY).findings()
    placed = found.filter(pl.col("kind") == "gps")
    assert sorted(placed["path"]) == ["flying_bird/placed.jpg", "winged_drone/placed.jpg"]
    assert set(placed["advice"]) == {"look"}


def test_unknown_is_not_known() -> None:
    photos = pl.DataFrame({"path": ["a", "b", "c"], "has_gps": [None, False, True]})
    found = gps_findings(photos)
    assert found["path"].to_list() == ["c"]
    assert dict(found.schema) == FINDING_TYPES
