"""What a bundle answered when it was exported: to drawn photos that it carries, and to test photos by their content.

With it anybody can ask, without the lake, whether the bundle answers on another machine as it did when it was judged:
`fledged verify`.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image, ImageDraw

from fledged import images
from fledged.contract import DrawnPhoto, KnownPhoto
from fledged.exporting.compose import OUTPUT, UNKNOWN
from fledged.exporting.parity import Ask, Asked
from fledged.products import Preprocess, Reference

_DRAWN = 8
_SIZE = (320, 240)
# By which a probability may differ on another machine: integers are rounded and cut off otherwise there.
_LIMITS = {"fp32": 1e-3, "int8": 0.05}


def reference_of(ask: Ask, asked: Asked, how: Preprocess, precision: str) -> Reference:
    """The export's own answers."""
    jpegs = [_drawn(number) for number in range(_DRAWN)]
    said = ask(np.stack([images.model_input(jpeg, how) for jpeg in jpegs]))
    drawn = tuple(
        DrawnPhoto(
            jpeg=base64.b64encode(jpeg),
            probabilities=tuple(said[OUTPUT][row].tolist()),
            unknown_score=float(said[UNKNOWN][row]) if UNKNOWN in said else None,
        )
        for row, jpeg in enumerate(jpegs)
    )
    photos = tuple(
        KnownPhoto(
            sha256=sha256,
            class_index=int(row_C.argmax()),
            confidence=float(row_C.max()),
            unknown_score=None if asked.scores_N is None else float(asked.scores_N[row]),
        )
        for row, (sha256, row_C) in enumerate(zip(asked.rows["sha256"], asked.export_NC, strict=True))
    )
    return Reference(limit=_LIMITS[precision], drawn=drawn, photos=photos)


def _drawn(number: int) -> bytes:
    """A JPEG file of shapes on a sky of two colours, with a little noise."""
    random = np.random.default_rng(number)
    width, height = _SIZE
    above, below = random.integers(0, 256, (2, 3))
    slope_H = np.linspace(0, 1, height)[:, None, None]
    sky_HWC = (1 - slope_H) * above + slope_H * below + random.normal(0, 6, (height, width, 3))
    image = Image.fromarray(sky_HWC.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, across, down = random.integers((-20, -20, 10, 10), (width, height, 130, 110)).tolist()
        colour = tuple(random.integers(0, 256, 3).tolist())
        draw = (pen.ellipse, pen.rectangle)[int(random.integers(2))]
        draw((x, y, x + across, y + down), fill=colour)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
