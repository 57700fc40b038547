"""Small copies of photos for pages."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from fledged import images


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small JPEG as a data URI, without any metadata of its photo."""

    uri: str
    width_px: int
    height_px: int


def shrunk(data: bytes, longer_side_px: int, jpeg_quality: int) -> Thumbnail:
    """A photo's bytes as a thumbnail. Raises BadPhoto."""
    _, image = images.decode(data, at_least_px=longer_side_px)
    image.thumbnail((longer_side_px, longer_side_px))
    text = base64.b64encode(images.to_jpeg(image, jpeg_quality)).decode()
    return Thumbnail(f"data:image/jpeg;base64,{text}", image.width, image.height)
