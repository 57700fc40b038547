"""What one file is."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from demo.drawing import draw_photo
from fledged.scanning.probe import Probe, perceptual_hashes, probe

MEGA = 2**20


def look(path: Path, image: Image.Image, format_: str = "PNG", **options: object) -> Probe:
    image.save(path, format_, **options)
    return probe(str(path), 10 * MEGA, 10 * MEGA)


def distance(a: int | None, b: int | None) -> int:
    assert a is not None
    assert b is not None
    return (a ^ b).bit_count()


def test_a_photo_is_described(tmp_path: Path) -> None:
    found = look(tmp_path / "a.jpg", draw_photo("flying_bird", 3), "JPEG")
    assert (found.format, found.width_px, found.height_px, found.error) == ("JPEG", 480, 360, None)
    assert found.sha256 is not None
    assert len(found.sha256) == 64


def test_figures_follow_the_light_and_the_focus(tmp_path: Path) -> None:
    photo = draw_photo("large_quadcopter", 5)
    sharp = look(tmp_path / "a.png", photo)
    soft = look(tmp_path / "b.png", photo.filter(ImageFilter.GaussianBlur(6)))
    dark = look(tmp_path / "c.png", photo.point(lambda level: level // 8))
    flat = look(tmp_path / "d.png", Image.new("RGB", (50, 50), (128, 128, 128)))
    assert sharp.sharpness is not None
    assert soft.sharpness is not None
    assert soft.sharpness < sharp.sharpness / 2
    assert dark.brightness is not None
    assert sharp.brightness is not None
    assert dark.brightness < sharp.brightness / 4
    assert flat.contrast == pytest.approx(0)
    assert flat.brightness == pytest.approx(128 / 255, abs=1e-3)


def test_the_hash_survives_what_people_do_to_photos(tmp_path: Path) -> None:
    for seed in range(6):
        photo = draw_photo("winged_drone", seed)
        original = look(tmp_path / "a.png", photo)
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=40)
        changed = {
            "re-encoded": Image.open(buffer),
            "halved": photo.resize((240, 180)),
            "grey": ImageOps.grayscale(photo),
            "brighter": photo.point(lambda level: min(255, int(level * 1.1))),
        }
        for how, image in changed.items():
            other = look(tmp_path / "b.png", image)
            assert distance(original.phash, other.phash) <= 10, (seed, how)
        mirrored = look(tmp_path / "c.png", ImageOps.mirror(photo))
        assert distance(original.phash_mirrored, mirrored.phash) <= 2


def test_different_photos_have_different_hashes(tmp_path: Path) -> None:
    hashes = [look(tmp_path / "a.png", draw_photo("flying_bird", seed)).phash for seed in range(8)]
    distances = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert np.median(distances) > 12


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_mirrored_hash_is_the_hash_of_the_mirror_image(seed: int) -> None:
    thumbnail = np.random.default_rng(seed).integers(0, 255, (32, 32), dtype=np.uint8)
    straight, mirrored = perceptual_hashes(thumbnail)
    assert perceptual_hashes(np.ascontiguousarray(thumbnail[:, ::-1])) == (mirrored, straight)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty file"), (b"text", "not a photo"), (bytes(11 * MEGA), "11 MB, over the limit of 10 MB")],
)
def test_what_cannot_be_read_is_a_row_with_a_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    found = probe(str(path), 10 * MEGA, 10 * MEGA)
    assert found.error is not None
    assert words in found.error


def test_a_file_that_vanishes_is_a_row_with_a_reason(tmp_path: Path) -> None:
    assert probe(str(tmp_path / "gone.jpg"), MEGA, MEGA).error == "vanished while it was scanned"


def test_a_photo_that_becomes_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert probe(str(tmp_path / "a.jpg"), MEGA, MEGA).error == "no longer a regular file"


def test_a_file_that_may_not_be_read_is_a_row_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff")

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fledged.reading.os.open", refused)
    assert probe(str(path), MEGA, MEGA).error == "cannot be read: Permission denied"
