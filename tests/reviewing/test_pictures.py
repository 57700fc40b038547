"""What the browser gets: small, upright, without metadata, or the reason why there is nothing."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from fledged.images import BadPhoto
from fledged.reviewing.pictures import SIZES_PX, picture


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010F] = "Secret Camera"
    Image.new("RGB", (2400, 1200), "red").save(path, exif=exif)
    return path


@pytest.mark.parametrize("size", sorted(SIZES_PX))
def test_it_is_small_upright_and_says_nothing_else(photo: Path, size: str) -> None:
    data = picture(photo, sha256(photo), size)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert image.height == SIZES_PX[size]
        assert image.width == SIZES_PX[size] // 2
        assert not image.getexif()
    assert b"Secret" not in data


def test_a_drawing_never_reaches_the_browser(tmp_path: Path) -> None:
    path = tmp_path / "evil.jpg"
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    with pytest.raises(BadPhoto, match="vector"):
        picture(path, sha256(path), "thumb")


def test_what_changed_or_went_is_told(photo: Path) -> None:
    with pytest.raises(BadPhoto, match="changed since the scan"):
        picture(photo, "0" * 64, "thumb")
    photo.unlink()
    with pytest.raises(BadPhoto, match="vanished since the scan"):
        picture(photo, None, "thumb")
    photo.mkdir()
    with pytest.raises(BadPhoto, match=r"changed|cannot be read"):
        picture(photo, None, "thumb")


@pytest.mark.timeout(20)
def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadPhoto, match="changed since the scan"):
        picture(tmp_path / "pipe.jpg", None, "thumb")
