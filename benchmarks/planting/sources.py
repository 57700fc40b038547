"""Photos to plant defects among: each shows a picture of its own."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from demo.drawing import CLASSES, draw_photo

# Roboflow writes several augmented variants of a photo: hawk_jpg.rf.<32 hex digits>.jpg.
_ROBOFLOW = re.compile(r"^(?P<source>.+?)(_(jpe?g|png))?\.rf\.[0-9a-f]{32}$", re.IGNORECASE)
# Frames of a few clips in birds_vs_drones (foto00117, moto00929, yoto10586): alike, though not the same picture.
_FRAME = re.compile(r"^[a-z]oto\d{5}$")
_SPLITS = {"train", "val", "valid", "test"}
_SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, slots=True)
class Source:
    """A photo as it was found or drawn; `name` tells one picture from another."""

    name: str
    label: str
    data: bytes
    suffix: str  # lower case

    def image(self) -> Image.Image:
        """The picture, upright, in RGB."""
        with Image.open(io.BytesIO(self.data)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")


def real_files(folder: Path) -> list[tuple[str, str, Path]]:
    """(source, label, path) of each photo in a lake of class folders, split folders or not, in the order of the paths.

    The variants that Roboflow makes of one photo share their source.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        folders = [part for part in path.relative_to(folder).parts[:-1] if part.lower() not in _SPLITS]
        match = _ROBOFLOW.match(path.stem)
        if folders:
            source = match["source"] if match else path.stem
            found.append((f"{folder.name}/{folders[0]}/{source}", folders[0], path))
    return found


def real_sources(folder: Path, limit: int, seed: int) -> list[Source]:
    """Up to `limit` photos of the lake, one a source, no frames of clips, in random order."""
    first: dict[str, Source] = {}
    for name, label, path in real_files(folder):
        if name not in first and not _FRAME.match(name.rpartition("/")[2]):
            first[name] = Source(name, label, b"", str(path))
    names = sorted(first)
    order = np.random.default_rng(seed).permutation(len(names))[:limit]
    return [_read(first[names[index]]) for index in order]


def drawn_sources(limit: int, seed: int, size_px: tuple[int, int] = (480, 360)) -> Iterator[Source]:
    """`limit` drawn photos of the four classes, as JPEG."""
    rng = np.random.default_rng(seed)
    for index in range(limit):
        label = CLASSES[index % len(CLASSES)]
        buffer = io.BytesIO()
        image = draw_photo(label, seed * 1_000_000 + index, size_px)
        image.save(buffer, "JPEG", quality=int(rng.integers(70, 96)))
        yield Source(f"drawn/{label}/{index}", label, buffer.getvalue(), ".jpg")


def _read(source: Source) -> Source:
    path = Path(source.suffix)
    return Source(source.name, source.label, path.read_bytes(), path.suffix.lower())
