"""Small copies of photos for pages."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from PIL import Image

from fledged import images


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small JPEG, without any metadata of its photo."""

    jpeg: bytes
    width_px: int
    height_px: int

    @property
    def uri(self) -> str:
        """As a data URI."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


def shrunk(data: bytes, longer_side_px: int, jpeg_quality: int) -> Thumbnail:
    """A photo's bytes as a thumbnail. Raises BadPhoto."""
    _, image = images.decode(data, at_least_px=longer_side_px)
    return of_image(image, longer_side_px, jpeg_quality)


def of_image(image: Image.Image, longer_side_px: int, jpeg_quality: int) -> Thumbnail:
    """A picture as a thumbnail; the picture itself is shrunk as well."""
    image.thumbnail((longer_side_px, longer_side_px))
    return Thumbnail(images.to_jpeg(image, jpeg_quality), image.width, image.height)
