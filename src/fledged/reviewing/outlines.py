"""What worker processes see of a photo for the review. Imports no torch, which would cost each worker seconds."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from fledged import images
from fledged.copies import Gone, shrunk_image
from fledged.reading import File

OUTLINE_PX = 64


@dataclass(frozen=True, slots=True)
class Look:
    """One photo's shrunk copy and grey outline (64x64), or nothing: it vanished, changed or cannot be read."""

    jpeg: bytes | None = None
    outline: bytes | None = None


def look(file_and_sha256: tuple[File, str], shorter_side_px: int, jpeg_quality: int) -> Look:
    """A photo's shrunk copy and outline."""
    try:
        image = shrunk_image(*file_and_sha256, shorter_side_px)
    except Gone:
        return Look()
    outline = image.convert("L").resize((OUTLINE_PX, OUTLINE_PX), Image.Resampling.BOX)
    return Look(images.to_jpeg(image, jpeg_quality), outline.tobytes())
