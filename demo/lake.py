"""A whole lake of drawn photos: one folder per class, with the faults that real lakes have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np
from PIL import Image

from demo import encode
from demo.photo import CLASSES, draw_photo

# A little unequal, as scraped classes are.
_FACTORS = (1.15, 1.0, 0.85, 1.0)
_JPEG_SUFFIXES = (".jpg", ".JPG", ".jpeg", ".jpg", ".JPEG", ".jpg")
_STEMS = {
    "flying_bird": ("IMG_{:04d}", "Möwe {:d}", "gull's flight {:d}", "鳥-{:03d}", "bird_{:d}"),
    "large_quadcopter": (
        "DJI_{:04d}",
        "hexa & quad {:d}",
        "ドローン{:d}",
        "big.drone.v{:d}",
        "{:d}",
    ),
    "small_quadcopter": ("DSC{:05d}", "mini drone ({:d})", "дрон_{:d}", "toy+copter#{:d}", "{:d}"),
    "winged_drone": (
        "PXL_{:06d}",
        "aile volante n°{:d}",
        "UAV 100% ({:d})",
        "ala-fija-{:d}",
        "{:d}",
    ),
}
# Photos per class that leave room for one of each defect.
_MINIMUM = 5


@dataclass(frozen=True)
class Planted:
    """What is in a drawn lake, as known truth: POSIX paths relative to the lake's root."""

    photos: tuple[str, ...]  # every file written, the ones below included
    unreadable: tuple[str, ...]
    exact_duplicates: tuple[tuple[str, str], ...]  # (original, same bytes under another name)
    near_duplicates: tuple[tuple[str, str], ...]  # (original, re-encoded, resized or brightened)
    label_conflicts: tuple[tuple[str, str], ...]  # (right class, same bytes in a wrong class)
    wrong_extension: tuple[str, ...]  # readable, though the name promises another format
    odd_formats: tuple[str, ...]  # readable
    skipped: tuple[str, ...]  # no photos: hidden files, thumbnails' caches, notes


def draw_lake(
    folder: Path,
    n_per_class: int = 145,
    seed: int = 7,
    defects: bool = True,
    size_px: tuple[int, int] = (480, 360),
) -> Planted:
    """Write a lake of one folder per class and say what is wrong with it.

    Without `defects` it holds nothing but plainly named JPEG photos of `size_px`; with them,
    some photos are smaller or upright as well. The same arguments give the same bytes.
    """
    least = _MINIMUM if defects else 1
    if n_per_class < least:
        raise ValueError(f"n_per_class must be at least {least}, not {n_per_class}")
    rng = np.random.default_rng([seed, n_per_class])
    slots = [
        (label, index)
        for label, factor in zip(CLASSES, _FACTORS, strict=True)
        for index in range(max(round(n_per_class * factor), 1))
    ]
    lake = _Writer(folder)
    if not defects:
        for label, index in slots:
            image = draw_photo(label, seed * 100_000 + index, size_px)
            lake.write(f"{label}/{label}_{index:04d}.jpg", encode.jpeg(image, rng))
        return Planted(tuple(lake.written), (), (), (), (), (), (), ())

    times = max(1, round(n_per_class / 72))
    order = [slots[place] for place in rng.permutation(len(slots))]
    odd_kinds = list(encode.ODD_SUFFIXES) * times
    wrong_kinds = [encode.WRONG[turn % len(encode.WRONG)] for turn in range(2 * times)]
    odd = dict(zip(order, odd_kinds, strict=False))
    wrong = dict(zip(order[len(odd_kinds) :], wrong_kinds, strict=False))
    names: dict[tuple[str, int], str] = {}
    for label, index in slots:
        image = draw_photo(label, seed * 100_000 + index, _some_size(rng, size_px))
        slot = (label, index)
        suffix = _JPEG_SUFFIXES[index % len(_JPEG_SUFFIXES)]
        if slot in odd:
            suffix, data = encode.ODD_SUFFIXES[odd[slot]], encode.odd(image, odd[slot])
        elif slot in wrong:
            suffix, data = wrong[slot][1], encode.odd(image, wrong[slot][0])
        else:
            data = encode.jpeg(image, rng)
        names[slot] = lake.write(_messy(label, index, suffix), data)

    # Each plain photo is the original of one copy at most, so that groups stay pairs.
    plain = [slot for slot in order if slot not in odd and slot not in wrong]
    exact = [_copy(lake, names[plain.pop()]) for _ in range(2 if times == 1 else 4 * times)]
    near = []
    for turn in range(3 if times == 1 else 4 * times + 1):
        near.append(_copy(lake, names[plain.pop()], encode.NEAR[turn % len(encode.NEAR)]))
    conflicts = [_misfiled(lake, rng, names, plain.pop()) for _ in range(times + (times > 1))]
    unreadable = []
    for turn in range(3 * times):
        label = CLASSES[turn % len(CLASSES)]
        kind = encode.BROKEN[turn % len(encode.BROKEN)]
        whole = lake.read(names[plain.pop()]) if kind == "truncated" else b""
        unreadable.append(lake.write(f"{label}/download_{turn}.jpg", encode.broken(whole, kind)))
    skipped = _clutter(lake)
    return Planted(
        photos=tuple(lake.written),
        unreadable=tuple(unreadable),
        exact_duplicates=tuple(exact),
        near_duplicates=tuple(near),
        label_conflicts=tuple(conflicts),
        wrong_extension=tuple(names[slot] for slot in slots if slot in wrong),
        odd_formats=tuple(names[slot] for slot in slots if slot in odd),
        skipped=skipped,
    )


class _Writer:
    """Writes files under a root, never two that some file systems hold for the same."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[str] = []
        self._taken: set[str] = set()

    def write(self, name: str, data: bytes) -> str:
        """Write a file and return its name, which differs from `name` where that is taken."""
        path = PurePosixPath(name)
        free, turn = name, 1
        while normalize("NFC", free).casefold() in self._taken:
            turn += 1
            free = str(path.with_name(f"{path.stem}_{turn}{path.suffix}"))
        target = self.root / free
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(data)
        except OSError:
            if "\n" not in free:
                raise
            # Not every file system that POSIX systems mount takes a newline.
            return self.write(name.replace("\n", " "), data)
        self._taken.add(normalize("NFC", free).casefold())
        self.written.append(free)
        return free

    def read(self, name: str) -> bytes:
        """The bytes of a file written before."""
        return (self.root / name).read_bytes()


def _messy(label: str, index: int, suffix: str) -> str:
    """A file name as scraped lakes have them; it depends on the photo's place only."""
    stems = _STEMS[label]
    stem = stems[index % len(stems)].format(index)
    if index % 12 == 3:
        # The stem of the photo before, told apart by its suffix alone.
        stem = stems[(index - 1) % len(stems)].format(index - 1)
    if label == "flying_bird" and index % 25 in (4, 5):
        stem = f"2019 coast trip/{stem}"
    if label == "winged_drone" and index == 1 and os.name == "posix":
        stem = f"two\nlines {index}"
    return f"{label}/{stem}{suffix}"


def _some_size(rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int]:
    """Mostly the size asked for; now and then smaller, square or upright."""
    width, height = size
    pick = rng.random()
    if pick < 0.75:
        return size
    if pick < 0.85:
        return width * 4 // 5, height * 4 // 5
    short = min(width, height)
    return (short, short) if pick < 0.93 else (short * 3 // 4, short)


def _copy(lake: _Writer, original: str, near: str | None = None) -> tuple[str, str]:
    """A second file of the same photo in the same folder."""
    path = PurePosixPath(original)
    data = lake.read(original)
    if near is not None:
        copy = path.with_name(f"{path.stem}-{near}.jpg")
        return original, lake.write(str(copy), encode.near(data, near))
    # File managers and browsers name their copies differently.
    downloaded = len(lake.written) % 2
    copy = path.with_name(f"{path.stem} (1){path.suffix}" if downloaded else f"Copy of {path.name}")
    return original, lake.write(str(copy), data)


def _misfiled(
    lake: _Writer,
    rng: np.random.Generator,
    names: dict[tuple[str, int], str],
    slot: tuple[str, int],
) -> tuple[str, str]:
    """The same bytes in another class: for a quadcopter the other quadcopter, as people do."""
    label = slot[0]
    others = [other for other in CLASSES if other != label]
    close = [other for other in others if other.split("_")[-1] == label.split("_")[-1]]
    target = close[0] if close else others[int(rng.integers(len(others)))]
    name = names[slot].rpartition("/")[2]
    return names[slot], lake.write(f"{target}/{name}", lake.read(names[slot]))


def _clutter(lake: _Writer) -> tuple[str, ...]:
    """Files that are no photos and should be passed over without a word."""
    thumb = Image.new("RGB", (8, 8), (90, 120, 180))
    return (
        lake.write(".DS_Store", b"\x00\x00\x00\x01Bud1\x00"),
        lake.write("flying_bird/.DS_Store", b"\x00\x00\x00\x01Bud1\x00"),
        lake.write("flying_bird/._IMG_0000.jpg", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"),
        lake.write("large_quadcopter/Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        lake.write("small_quadcopter/notes.txt", b"ask Jo for the originals of May\n"),
        lake.write("winged_drone/.hidden.png", encode.odd(thumb, "png")),
    )
