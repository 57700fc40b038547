"""Small drawn photos as bytes."""

from __future__ import annotations

import functools
import io

from demo.drawing import draw_photo


@functools.cache
def photo(seed: int, kind: str = "JPEG") -> bytes:
    """A photo; another seed gives another one."""
    buffer = io.BytesIO()
    draw_photo("flying_bird", seed, (64, 48)).save(buffer, kind)
    return buffer.getvalue()
