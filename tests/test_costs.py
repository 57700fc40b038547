"""Files of few bytes that ask for minutes or gigabytes are refused before they get them; what cameras write is not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fledged import costs, images, rgb
from fuzz import costly
from tests.serving.photos import encoded, of_all_kinds, picture

# Pillow alone needs 8 s and more for most of them at a hundred times the size, and for some at this one.
_LIMIT_S = 3.0
_LIMIT_MB = 512


@pytest.mark.parametrize("name", costly.REFUSED)
def test_what_asks_for_too_much_is_refused_at_once(name: str) -> None:
    data = costly.REFUSED[name]()
    start_s = time.process_time()
    with pytest.raises(images.BadPhoto) as told:
        images.decode(data, 448)
    assert time.process_time() - start_s < _LIMIT_S
    assert not str(told.value).startswith("damaged: it")
    assert "\n" not in str(told.value)


_HELD = """
import sys
from pathlib import Path
from fledged import images
sys.stdout.write(f"{images.decode(Path(sys.argv[1]).read_bytes(), 448)[0].width_px} ")
print(next(int(line.split()[1]) // 1024 for line in Path("/proc/self/status").open() if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured by Linux's /proc")
@pytest.mark.parametrize("name", costly.TAKEN)
def test_a_large_picture_takes_little_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(costly.TAKEN[name]())
    told = subprocess.run(
        [sys.executable, "-c", _HELD, str(tmp_path / "photo")], capture_output=True, text=True, check=True
    )
    width, held_mb = map(int, told.stdout.split())
    assert held_mb < _LIMIT_MB, (width, held_mb)


@pytest.mark.parametrize("kind", of_all_kinds())
def test_usual_photos_are_taken(kind: str) -> None:
    data = of_all_kinds()[kind]
    costs.check_bytes(data)
    images.decode(data)


def test_an_animation_and_a_photo_with_profiles_are_taken() -> None:
    frames = [picture(colour, (200, 150)) for colour in ("blue", "red", "green")] * 40
    assert images.decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))[0].n_frames > 50
    exif = Image.Exif()
    exif[0x010F] = "maker" * 1000
    many = encoded(picture(), "JPEG", exif=exif, icc_profile=bytes(300_000), comment=b"x" * 60_000)
    assert images.decode(many)[0].format == "JPEG"
    assert costs._n_scans(encoded(picture(), "JPEG", progressive=True)) == 10
    assert costs._n_scans(encoded(picture(), "JPEG")) == 1


def test_a_scan_is_counted_whatever_stands_before_it() -> None:
    data = costly.many_scans(100)
    at = data.index(b"\xff\xda")
    hidden = data[:at] + b"\xff\x01\xff\xff" + data[at:]  # a marker without a length, and what would be one
    assert costs._n_scans(hidden) > 64
    thumbnails = b"\xff\xe1\x03\xea" + b"\xff\xda" * 500  # in a segment of the header they are nobody's scans
    assert costs._n_scans(data[:2] + thumbnails + encoded(picture(), "JPEG")[2:]) == 1


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA", "CMYK", "I;16", "I", "F", "L", "1"])
def test_pieces_are_what_the_whole_would_be(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(8)
    if mode in ("I;16", "I", "F"):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray((draw.random((90, 70)) * (0.9 if mode == "F" else 60_000)).astype(dtype))
    else:
        image = Image.fromarray(draw.integers(0, 256, (90, 70, 4), np.uint8)).convert(
            "RGB" if mode == "CMYK" else "RGBA"
        )
        image = image.quantize(16) if mode == "P" else image.convert(mode)
    whole = np.asarray(rgb.upright_rgb(image))
    monkeypatch.setattr(rgb, "_PIECE_PIXELS", 700)
    assert np.array_equal(np.asarray(rgb.upright_rgb(image)), whole)
    monkeypatch.setattr(rgb, "_LARGE_PIXELS", 1000)
    small = rgb.upright_rgb(image, 10)
    assert small.size == (18, 23)
    assert np.abs(np.asarray(small, int) - np.asarray(Image.fromarray(whole).reduce(4), int)).max() <= 1
