"""The same picture is known again after what people do to photos, and different skies are not taken for one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from demo.drawing import draw_photo
from fledged.reviewing.alignment import similarity
from fledged.reviewing.outlines import OUTLINE_PX

THRESHOLD = 0.8
Edit = Callable[[Image.Image], Image.Image]


def outline(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image.convert("L").resize((OUTLINE_PX, OUTLINE_PX), Image.Resampling.BOX))


def scores(pairs: list[tuple[Image.Image, Image.Image]]) -> list[float]:
    first, second = (np.stack([outline(pair[side]) for pair in pairs]) for side in (0, 1))
    found: list[float] = similarity(first, second, THRESHOLD).tolist()
    return found


def watermarked(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).rectangle((300, 20, 470, 80), fill=(255, 255, 255), outline=(0, 0, 0), width=6)
    return marked


EDITS: dict[str, Edit] = {
    "itself": lambda image: image,
    "half the size": lambda image: image.resize((240, 180)),
    "mirrored": ImageOps.mirror,
    "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
    "brighter": lambda image: image.point(lambda level: min(255, level * 1.3)),
    "cropped by 5%": lambda image: image.crop((24, 3, 480, 345)),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "turned and mirrored": lambda image: ImageOps.mirror(image.rotate(-2, Image.Resampling.BICUBIC)),
    "blurred a little": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "watermarked": watermarked,
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_photo_is_known_again(edit: str) -> None:
    photos = [draw_photo("large_quadcopter", seed) for seed in range(6)]
    assert min(scores([(photo, EDITS[edit](photo)) for photo in photos])) >= THRESHOLD


def test_different_photos_are_not_taken_for_one() -> None:
    photos = [draw_photo(label, seed) for label in ("flying_bird", "winged_drone") for seed in range(8)]
    pairs = [(a, b) for i, a in enumerate(photos) for b in photos[:i]]
    assert max(scores(pairs)) < THRESHOLD


def test_flat_pictures_have_nothing_in_common() -> None:
    flat = [Image.new("RGB", (80, 60), (level,) * 3) for level in (100, 150, 200)]
    assert scores([(flat[0], flat[1]), (flat[1], flat[2])]) == [0, 0]


def test_the_order_within_a_pair_hardly_matters_and_pairs_do_not_touch_each_other() -> None:
    photo = draw_photo("small_quadcopter", 3)
    crop, other = photo.crop((10, 10, 470, 350)), draw_photo("flying_bird", 5)
    alone = scores([(photo, crop)])
    assert scores([(other, photo), (photo, crop), (crop, photo)])[1:] == pytest.approx([*alone, alone[0]], abs=0.1)
    assert scores([(other, photo), (photo, crop)])[1] == pytest.approx(alone[0], abs=1e-5)
