"""Views of a photo: itself as it will be served, and augmented versions that training may see.

A view is decided by the photo's content and the view's number alone, so it is the same whenever and wherever it is
made: views can be cached, resumed and computed in any order.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from fledged import images
from fledged.images import UInt8Array
from fledged.products import Preprocess

VERSION = 1  # raise when a view changes, so that cached features are computed again

_MIN_AREA = 0.5  # of the photo, in a random crop
_MAX_STRETCH = 4 / 3
_MAX_BRIGHTNESS = 0.2
_MAX_CONTRAST = 0.2


def view(jpeg: bytes, sha256: str, how: Preprocess, number: int) -> UInt8Array:
    """View `number` of a shrunk copy, uint8 (S, S, 3): 0 is the photo as served, the others are augmented."""
    if number == 0:
        return images.model_input(jpeg, how)
    random = np.random.default_rng([number, int(sha256[:16], 16)])
    _, image = images.decode(jpeg)
    image = image.resize(
        (how.size_px, how.size_px), Image.Resampling.BICUBIC, box=_random_box(image.size, random), reducing_gap=2.0
    )
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = ImageEnhance.Brightness(image).enhance(1 + random.uniform(-_MAX_BRIGHTNESS, _MAX_BRIGHTNESS))
    image = ImageEnhance.Contrast(image).enhance(1 + random.uniform(-_MAX_CONTRAST, _MAX_CONTRAST))
    return np.asarray(image)


def _random_box(size_px: tuple[int, int], random: np.random.Generator) -> tuple[float, float, float, float]:
    """A box of at least half of the photo's area, of an aspect up to 4:3 from square, anywhere inside."""
    width, height = size_px
    area = random.uniform(_MIN_AREA, 1) * min(width, height) ** 2
    stretch = np.exp(random.uniform(-np.log(_MAX_STRETCH), np.log(_MAX_STRETCH)))
    box_width, box_height = min(width, np.sqrt(area * stretch)), min(height, np.sqrt(area / stretch))
    left, top = random.uniform(0, width - box_width), random.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height
