"""Bodies for schemathesis that are photos, where the document can only say that they are bytes."""

from __future__ import annotations

import io
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def _photo(size: tuple[int, int], colour: tuple[int, int, int], name: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, name)
    return buffer.getvalue()


_side, _level = st.integers(1, 60), st.integers(0, 255)
photos: Any = st.builds(_photo, st.tuples(_side, _side), st.tuples(_level, _level, _level), st.sampled_from(FORMATS))
for kind in ("image/*", "image/jpeg", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, photos)
schemathesis.openapi.format("binary", photos)
