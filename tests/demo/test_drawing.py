"""The drawn lake holds what it says it holds, byte for byte the same each time."""

import os
from dataclasses import fields
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from demo.drawing import CLASSES, Planted, draw_lake, draw_photo
from demo.encode import odd

SMALL = (96, 72)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    root = tmp_path_factory.mktemp("lake")
    return root, draw_lake(root, n_per_class=9, size_px=SMALL)


def _bytes(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _load(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image.copy()


@pytest.mark.parametrize("label", CLASSES)
def test_photo_is_the_same_for_the_same_seed(label: str) -> None:
    first, again, other = (draw_photo(label, seed, SMALL) for seed in (3, 3, 4))
    assert (first.mode, first.size) == ("RGB", SMALL)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_classes_of_one_seed_differ() -> None:
    assert len({draw_photo(label, 1, SMALL).tobytes() for label in CLASSES}) == len(CLASSES)


def test_unknown_label_is_refused() -> None:
    with pytest.raises(ValueError, match="kite"):
        draw_photo("kite", 1)


@pytest.mark.parametrize(("n_per_class", "defects"), [(4, True), (0, False)])
def test_too_few_photos_are_refused(tmp_path: Path, n_per_class: int, defects: bool) -> None:
    with pytest.raises(ValueError, match="at least"):
        draw_lake(tmp_path, n_per_class=n_per_class, defects=defects, size_px=SMALL)
    assert not list(tmp_path.iterdir())


def test_lake_is_the_same_for_the_same_seed(lake: tuple[Path, Planted], tmp_path: Path) -> None:
    root, planted = lake
    assert draw_lake(tmp_path, n_per_class=9, size_px=SMALL) == planted
    assert _bytes(tmp_path) == _bytes(root)


def test_other_seed_gives_another_lake(lake: tuple[Path, Planted], tmp_path: Path) -> None:
    draw_lake(tmp_path, n_per_class=9, seed=8, size_px=SMALL)
    assert _bytes(tmp_path) != _bytes(lake[0])


def test_photos_names_every_file_once(lake: tuple[Path, Planted]) -> None:
    root, planted = lake
    assert len(set(planted.photos)) == len(planted.photos)
    assert set(_bytes(root)) == set(planted.photos)


def test_small_lake_has_every_kind_of_defect(lake: tuple[Path, Planted]) -> None:
    _, planted = lake
    assert all(getattr(planted, field.name) for field in fields(planted))
    assert len(planted.odd_formats) == 10
    assert len(planted.unreadable) == 3
    assert len(planted.near_duplicates) == 3


@pytest.mark.parametrize("n_per_class", [5, 36])
def test_other_lakes_have_every_kind_of_defect(tmp_path: Path, n_per_class: int) -> None:
    planted = draw_lake(tmp_path, n_per_class=n_per_class, size_px=(48, 36))
    assert all(getattr(planted, field.name) for field in fields(planted))


def test_counts_add_up(lake: tuple[Path, Planted]) -> None:
    _, planted = lake
    copies = planted.exact_duplicates + planted.near_duplicates + planted.label_conflicts
    extra = {copy for _, copy in copies} | set(planted.unreadable) | set(planted.skipped)
    drawn = [name for name in planted.photos if name not in extra]
    per_class = {label: sum(name.startswith(f"{label}/") for name in drawn) for label in CLASSES}
    assert list(per_class.values()) == [10, 9, 8, 9]


def test_unreadable_files_fail_to_load_and_all_others_load(lake: tuple[Path, Planted]) -> None:
    root, planted = lake
    for name in set(planted.photos) - set(planted.skipped) - set(planted.unreadable):
        assert min(_load(root / name).size) > 30, name
    for name in planted.unreadable:
        with pytest.raises((OSError, SyntaxError)):
            _load(root / name)


def test_duplicates_and_conflicts(lake: tuple[Path, Planted]) -> None:
    root, planted = lake
    content = _bytes(root)
    for original, copy in planted.exact_duplicates:
        assert content[original] == content[copy]
        assert original.split("/")[0] == copy.split("/")[0]
    for original, copy in planted.label_conflicts:
        assert content[original] == content[copy]
        assert original.split("/")[0] != copy.split("/")[0]
    for original, copy in planted.near_duplicates:
        assert content[original] != content[copy]
        tiny = [_load(root / name).convert("L").resize((8, 8)) for name in (original, copy)]
        pairs = zip(tiny[0].tobytes(), tiny[1].tobytes(), strict=True)
        assert max(abs(a - b) for a, b in pairs) < 25
    # Nothing else is the same twice.
    same = len(planted.exact_duplicates) + len(planted.label_conflicts)
    readable = set(planted.photos) - set(planted.skipped) - set(planted.unreadable)
    assert len({content[name] for name in readable}) == len(readable) - same


def test_names_promise_other_formats(lake: tuple[Path, Planted]) -> None:
    root, planted = lake
    for name in planted.wrong_extension:
        with Image.open(root / name) as image:
            assert image.format is not None
            promised = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}[name.rpartition(".")[2]]
            assert image.format != promised


def test_odd_formats_are_all_different(lake: tuple[Path, Planted]) -> None:
    root, planted = lake
    kinds = set()
    for name in planted.odd_formats:
        with Image.open(root / name) as image:
            kinds.add((image.format, image.mode, image.getexif().get(0x0112)))
    assert {kind for kind, _, _ in kinds} == {"GIF", "WEBP", "PPM", "BMP", "PNG", "TIFF", "JPEG"}
    assert {("JPEG", "CMYK", None), ("JPEG", "RGB", 6)} <= kinds
    assert {("PNG", "RGBA", None), ("PNG", "P", None), ("PNG", "I;16", None)} <= kinds


def test_rotated_photo_shows_upright() -> None:
    image = draw_photo("flying_bird", 5, SMALL)
    stored = Image.open(BytesIO(odd(image, "rotated")))
    shown = ImageOps.exif_transpose(stored)
    assert stored.size == SMALL[::-1]
    assert shown.size == SMALL
    pairs = zip(shown.resize((8, 6)).tobytes(), image.resize((8, 6)).tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) < 25


def test_names_are_messy(lake: tuple[Path, Planted]) -> None:
    _, planted = lake
    names = planted.photos
    assert any(name.endswith(".JPG") for name in names)
    assert any(" " in name for name in names)
    assert any(not name.isascii() for name in names)
    assert any(name.count("/") == 2 for name in names)
    if os.name == "posix":
        assert any("\n" in name for name in names)
    stems = [name.rpartition(".")[0] for name in names if name not in planted.skipped]
    assert len(set(stems)) < len(stems)


def test_clean_lake_is_only_jpeg(tmp_path: Path) -> None:
    planted = draw_lake(tmp_path, n_per_class=2, defects=False, size_px=SMALL)
    assert len(planted.photos) == 8
    assert set(_bytes(tmp_path)) == set(planted.photos)
    assert not any(getattr(planted, field.name) for field in fields(planted)[1:])
    for name in planted.photos:
        with Image.open(tmp_path / name) as image:
            assert (image.format, image.size) == ("JPEG", SMALL)


@pytest.mark.parametrize("size_px", [(32, 24), (64, 120)])
@pytest.mark.parametrize("label", CLASSES)
def test_any_size_can_be_drawn(label: str, size_px: tuple[int, int]) -> None:
    for seed in range(20):
        assert draw_photo(label, seed, size_px).size == size_px
