"""Pictures that no other file shows, of crops of real photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def mosaic(images: Sequence[Image.Image], size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Crops of four photos, side by side at a random point; `size` is (width, height)."""
    width, height = size
    x, y = int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7))
    made = Image.new("RGB", size)
    for box in ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)):
        photo = images[int(rng.integers(len(images)))]
        share = rng.uniform(0.4, 0.9)
        wide, high = photo.width * share, photo.height * share
        left, top = rng.uniform(0, photo.width - wide), rng.uniform(0, photo.height - high)
        part_size = (box[2] - box[0], box[3] - box[1])
        part = photo.resize(part_size, Image.Resampling.BILINEAR, box=(left, top, left + wide, top + high))
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        made.paste(part, box)
    return made
