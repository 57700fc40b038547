"""A lake such as a class of students scrapes from search engines: 22,000 photos of four classes, 4.6 GB.

    python -m benchmarks.scraped DIR                  # all of it
    python -m benchmarks.scraped DIR --photos 1000    # the same mix, smaller

Counts of classes, the five sizes and the bytes are those that such collections were described with. Each photo is a
mosaic of crops of real photos of its class, so that no two show one picture and there is something to learn; grain
makes large ones as heavy as a camera's.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from benchmarks.build import DATA
from benchmarks.mosaics import mosaic
from benchmarks.planting.broken import BROKEN_KINDS, encoded
from benchmarks.planting.copies import NEAR_KINDS
from benchmarks.planting.outliers import KINDS as OUTLIER_KINDS
from benchmarks.planting.sources import Source, real_sources
from benchmarks.scraped_files import BANDS, LABELS, N_PHOTOS, Band, File, plan

_BROKEN_FILES = ("zero bytes", "JPEG cut at 20%", "zero bytes", "HTML", "zero bytes", "PNG cut at 30%")
_JUNK_FILES = ("icon", "logo", "placeholder", "marketing banner")
_NEAR_COPIES = ("resize to 150%", "crop 5% of width and height", "mirror", "watermark, text", "greyscale")
_SOURCES = 60  # decoded at once by a process
_BLOCK = 50
_TILE_PX = 1024
_SEED = 22


@dataclass(frozen=True, slots=True)
class _Block:
    lake: Path
    files: tuple[File, ...]
    sources: tuple[Source, ...]


def make(
    lake: Path, n_photos: int, sources: Mapping[str, Sequence[Source]], bands: Sequence[Band] = BANDS
) -> list[File]:
    """Write `n_photos` files, the same each time, on all cores; what they are."""
    files = plan(n_photos, tuple(sources), bands)
    rng = np.random.default_rng([_SEED, 1])
    blocks = []
    for label, members in sources.items():
        (lake / label).mkdir(parents=True, exist_ok=True)
        # A copy into another class belongs to the block of its original.
        of_label = [file for file in files if (file.of or file.path).partition("/")[0] == label]
        of_label.sort(key=lambda file: (file.of or file.path, file.of is not None))
        for block in _blocks(of_label):
            drawn = rng.permutation(len(members))[:_SOURCES]
            blocks.append(_Block(lake, tuple(block), tuple(members[index] for index in drawn)))
    order = rng.permutation(len(blocks))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_make_block, [blocks[index] for index in order]))
    return files


def _blocks(files: Sequence[File]) -> list[list[File]]:
    """A photo and its copies stay together."""
    blocks: list[list[File]] = [[]]
    for file in files:
        if len(blocks[-1]) >= _BLOCK and file.of is None:
            blocks.append([])
        blocks[-1].append(file)
    return blocks


def _make_block(block: _Block) -> None:
    images = [source.image() for source in block.sources]
    pictures: dict[str, Image.Image] = {}
    copied = {file.of for file in block.files}
    for file in block.files:
        rng = np.random.default_rng([_SEED, 2, file.number])
        path = file.path
        if file.kind == "exact" and file.of is not None:
            data = (block.lake / file.of).read_bytes()
        elif file.kind == "near" and file.of is not None:
            alter, quality = NEAR_KINDS[_NEAR_COPIES[file.number % len(_NEAR_COPIES)]]
            data = encoded(alter(pictures[file.of], rng), "JPEG", quality=quality)
        elif file.kind == "broken":
            data, suffix = BROKEN_KINDS[_BROKEN_FILES[file.number % len(_BROKEN_FILES)]](
                mosaic(images, file.size, rng), rng
            )
            path += suffix
        elif file.kind == "junk":
            draw, form, _ = OUTLIER_KINDS[_JUNK_FILES[file.number % len(_JUNK_FILES)]]
            data = encoded(draw(images[0], rng), form)
            path += {"PNG": ".png", "JPEG": ".jpg"}[form]
        else:
            picture = pictures[file.of] if file.of else _grained(mosaic(images, file.size, rng), file.grain, rng)
            if path in copied:
                pictures[path] = picture
            data = _written(picture, file)
        (block.lake / path).write_bytes(data)


def _grained(picture: Image.Image, grain: int, rng: np.random.Generator) -> Image.Image:
    """With a camera's noise. It comes from one tile: what is measured is bytes, and drawing it anew takes seconds."""
    if not grain:
        return picture
    tile, whole = _tile(grain), Image.new("RGB", picture.size)
    left, top = (int(offset) for offset in rng.integers(-_TILE_PX, 0, 2))
    for x in range(left, picture.width, _TILE_PX):
        for y in range(top, picture.height, _TILE_PX):
            whole.paste(tile, (x, y))
    return ImageChops.add(picture, whole, 1, -128)


@functools.cache
def _tile(grain: int) -> Image.Image:
    rng = np.random.default_rng([_SEED, 3, grain])
    light = rng.normal(128, grain, (_TILE_PX, _TILE_PX, 1)) + rng.normal(0, grain / 4, (_TILE_PX, _TILE_PX, 3))
    return Image.fromarray(light.round().clip(0, 255).astype(np.uint8))


def _written(picture: Image.Image, file: File) -> bytes:
    if file.form == "JPEG":
        return encoded(picture, "JPEG", quality=file.quality, progressive=file.progressive)
    if file.form == "WEBP":
        return encoded(picture, "WEBP", quality=file.quality)
    if file.form == "PNG" and file.alpha:
        picture = picture.copy()
        picture.putalpha(Image.radial_gradient("L").resize(picture.size).point(lambda level: 255 if level < 200 else 0))
    return encoded(picture, file.form, **({"compress_level": 4} if file.form == "PNG" else {}))


def make_real(lake: Path, n_photos: int = N_PHOTOS) -> bool:
    """Make it of the photos in FLEDGED_REAL_DATA, there whole or not at all; whether there are any."""
    found: dict[str, list[Source]] = {label: [] for label in LABELS}
    for name in ("birds_vs_drones", "ants_vs_bees"):
        for source in real_sources(DATA / name, 10_000, _SEED):
            found[source.label].append(source)
    if not all(found.values()):
        return False
    part = lake.with_name(f"{lake.name}.part")
    make(part, n_photos, found)
    part.rename(lake)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--photos", type=int, default=N_PHOTOS)
    given = parser.parse_args()
    if not make_real(given.lake, given.photos):
        sys.exit(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
