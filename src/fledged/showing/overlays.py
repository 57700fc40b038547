"""A heatmap over the square that the network saw, and the frame of that square in the whole photo."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from fledged import images
from fledged.images import UInt8Array
from fledged.measuring.subject import Float32Array
from fledged.products import Preprocess

# From cold to hot, ever lighter: read alike by the colour-blind and in grey. Stops of matplotlib's inferno.
_STOPS = np.array(
    [
        [0, 0, 4],
        [40, 11, 84],
        [101, 21, 110],
        [159, 42, 99],
        [212, 72, 66],
        [245, 125, 21],
        [250, 193, 39],
        [252, 255, 164],
    ]
)
_DIM = 0.6  # brightness of the photo where it is cold, so that heat is seen on white too
_HOT = 0.8  # opacity of the colour where it is hottest
_FRAME_RGB = (250, 193, 39)
_OUTSIDE = 0.4  # brightness of what the network did not see


def overlay(photo_SSC: UInt8Array, heat_SS: Float32Array) -> Image.Image:
    """The photo in dim grey under the heat (0..1) in colour, pixel on pixel."""
    heat_SS = np.clip(heat_SS, 0, 1)
    at = heat_SS * (len(_STOPS) - 1)
    colour_SSC = np.stack([np.interp(at, np.arange(len(_STOPS)), _STOPS[:, c]) for c in range(3)], axis=2)
    grey_SS1 = np.asarray(Image.fromarray(photo_SSC).convert("L"), dtype=np.float64)[..., None]
    opacity_SS1 = _HOT * heat_SS[..., None]
    return Image.fromarray((_DIM * grey_SS1 * (1 - opacity_SS1) + colour_SSC * opacity_SS1).round().astype(np.uint8))


def framed(image: Image.Image, how: Preprocess, longer_side_px: int) -> Image.Image:
    """A small copy of the upright photo, in which what the network did not see is dark."""
    small = image.copy()
    small.thumbnail((longer_side_px, longer_side_px))
    left, top, right, bottom = images.seen_box(*small.size, how)
    box = (max(0, round(left)), max(0, round(top)), min(small.width, round(right)), min(small.height, round(bottom)))
    if box == (0, 0, *small.size):
        return small
    dark = small.point(lambda value: round(value * _OUTSIDE))
    dark.paste(small.crop(box), box[:2])
    ImageDraw.Draw(dark).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline=_FRAME_RGB, width=2)
    return dark
