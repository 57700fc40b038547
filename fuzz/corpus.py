"""Photos that were damaged on purpose: every truncation and seeded bit flips of six small files, forged headers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from fuzz.costly import REFUSED
from fuzz.variants import pnm, webp
from tests.serving.photos import encoded, of_all_kinds, picture
from tests.serving.security.test_photos import CASES

SIX = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")


def six() -> dict[str, bytes]:
    """A small photo in each of six formats, 1 to 3 kB each."""
    small = picture("blue", (24, 18))
    return {name: encoded(small, name) for name in SIX}


def truncations(every: int = 1) -> Iterator[tuple[str, bytes]]:
    """Each of the six and an animation, cut after each byte."""
    frames = [picture(colour, (24, 18)) for colour in ("blue", "red", "blue")]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for name, data in (six() | {"animation": animation}).items():
        for n_bytes in range(0, len(data), every):
            yield f"{name} cut after {n_bytes} bytes", data[:n_bytes]


def flips(n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """The six with one to four bits flipped."""
    draw, photos = random.Random(seed), list(six().items())
    for number in range(n):
        name, photo = photos[number % len(photos)]
        data = bytearray(photo)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        yield f"{name}, flips {number} of seed {seed}", bytes(data)


def forged() -> Iterator[tuple[str, bytes]]:
    """Bombs, forged dimensions, polyglots, what asks for too much, all that is taken, variants of PNM and WebP."""
    yield from (pnm() | webp()).items()
    for name, costly in REFUSED.items():
        yield name, costly()
    for name, (make, _) in CASES.items():
        yield name, make()
    for kind, data in of_all_kinds().items():
        yield f"a good {kind}", data
        yield f"a {kind} and a zip in one file", data + b"PK\x05\x06" + bytes(18)
        yield f"a script before a {kind}", b"#!/bin/sh\n" + data


def folder(place: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder, such as Tests/images of Pillow's source."""
    for file in sorted(path for path in place.rglob("*") if path.is_file()):
        yield file.relative_to(place).as_posix(), file.read_bytes()
