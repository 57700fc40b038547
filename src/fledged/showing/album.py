"""The pictures of a page: inside it while they are small together, else all in one folder beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from fledged.pages.thumbnails import Thumbnail
from fledged.writing import write_bytes

FOLDER = "photos"
# One file is easy to send. With more a browser reads megabytes before it shows anything: from a folder it takes the
# pictures that are looked at.
INSIDE_BYTES = 2_000_000

Address = Callable[[Thumbnail], str]


def keep(pictures: Iterable[Thumbnail], folder: Path) -> tuple[Address, bool]:
    """What the page in `folder` calls each picture, and whether they lie beside it; written there if so."""
    by_name = {_name(picture): picture for picture in pictures}
    if sum(len(picture.jpeg) for picture in by_name.values()) <= INSIDE_BYTES:
        return lambda picture: picture.uri, False
    for name, picture in by_name.items():
        write_bytes(folder / FOLDER / name, picture.jpeg)
    return lambda picture: f"{FOLDER}/{_name(picture)}", True


def _name(picture: Thumbnail) -> str:
    """By its content, so that a picture that is shown twice is one file."""
    return f"{hashlib.sha256(picture.jpeg).hexdigest()[:16]}.jpg"
