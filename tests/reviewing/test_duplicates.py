"""Equal bytes and equal pictures are found, in whatever order the photos come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from PIL import Image, ImageOps

from demo.drawing import draw_photo
from fledged.progress import silent
from fledged.reviewing.duplicates import duplicate_groups, exact_duplicates, near_duplicates
from fledged.reviewing.looks import Looks
from fledged.reviewing.outlines import OUTLINE_PX
from fledged.scanning.probe import perceptual_hashes


def seen(images: list[Image.Image], labels: str) -> tuple[pl.DataFrame, Looks]:
    """Photos with hashes and outlines, and with features that say nothing."""
    grey = [image.convert("L") for image in images]
    hashes = [perceptual_hashes(np.asarray(image.resize((32, 32), Image.Resampling.BOX))) for image in grey]
    photos = pl.DataFrame(
        {
            "path": [f"{number:03d}.jpg" for number in range(len(images))],
            "label": list(labels),
            "phash": pl.Series([straight for straight, _ in hashes], dtype=pl.UInt64),
            "phash_mirrored": pl.Series([mirrored for _, mirrored in hashes], dtype=pl.UInt64),
        }
    )
    side = (OUTLINE_PX, OUTLINE_PX)
    outlines = [np.asarray(image.resize(side, Image.Resampling.BOX)) for image in grey]
    return photos, Looks(np.eye(len(images), dtype=np.float32), np.array(outlines, np.uint8).reshape(-1, *side))


def pairs(found: pl.DataFrame) -> set[tuple[str, str]]:
    return set(found.select("path", "related_path").rows())


def test_equal_bytes_keep_the_first_by_path() -> None:
    photos = pl.DataFrame({"path": ["b", "c", "a", "d"], "label": list("xxxy"), "sha256": ["1", "1", "1", "2"]})
    found = exact_duplicates(photos)
    assert found.rows() == [("b", "a", True), ("c", "a", True)]


def test_equal_bytes_under_two_labels_are_a_conflict() -> None:
    photos = pl.DataFrame({"path": ["a", "b"], "label": ["x", "y"], "sha256": ["1", "1"]})
    assert exact_duplicates(photos).rows() == [("b", "a", False)]


def test_smaller_and_mirrored_copies_are_found_and_others_are_not() -> None:
    photo = draw_photo("large_quadcopter", 0)
    others = [draw_photo("large_quadcopter", seed) for seed in (1, 2)]
    photos, looks = seen([photo, photo.resize((200, 150)), ImageOps.mirror(photo), *others], "xxyxx")
    found = near_duplicates(photos, looks, 0.8, silent)
    assert pairs(found) == {("001.jpg", "000.jpg"), ("002.jpg", "000.jpg"), ("002.jpg", "001.jpg")}
    labels = {(path, related): same for path, related, _, same in found.rows()}
    assert labels[("001.jpg", "000.jpg")]
    assert not labels[("002.jpg", "000.jpg")]
    assert found["score"].is_between(0.8, 1).all()
    assert duplicate_groups(photos, found).tolist() == [0, 0, 0, 1, 2]


def test_features_find_what_hashes_do_not() -> None:
    photo = draw_photo("winged_drone", 3)
    photos, looks = seen([photo, photo.crop((24, 3, 480, 345)), draw_photo("winged_drone", 4)], "xxx")
    far = photos.with_columns(phash=pl.Series([0, 2**40 - 1, 2**63], dtype=pl.UInt64), phash_mirrored=pl.lit(2**62 - 1))
    far = far.with_columns(pl.col("phash_mirrored").cast(pl.UInt64))
    assert near_duplicates(far, looks, 0.8, silent).is_empty()
    alike = Looks(np.array([[1, 0], [1, 0.1], [0, 1]], np.float32), looks.outlines_NHW)
    assert pairs(near_duplicates(far, alike, 0.8, silent)) == {("001.jpg", "000.jpg")}


def test_what_is_found_does_not_depend_on_the_names_and_order_of_files() -> None:
    drawn = [draw_photo("small_quadcopter", seed) for seed in range(4)]
    turned = [photo.rotate(3 + place).crop((20, 20, 440, 330)) for place, photo in enumerate(drawn)]
    images = [*drawn, *turned]
    photos, looks = seen(images, "x" * len(images))
    close = np.tile(np.eye(4, dtype=np.float32), (2, 1))  # features that make each turned one a candidate
    found = near_duplicates(photos, Looks(close, looks.outlines_NHW), 0.3, silent)
    backwards = photos.reverse().with_columns(path=photos["path"])
    there = near_duplicates(backwards, Looks(close[::-1], looks.outlines_NHW[::-1]), 0.3, silent)
    last = len(images) - 1

    def scores(table: pl.DataFrame, number: Callable[[int], int]) -> dict[frozenset[int], float]:
        return {
            frozenset(number(int(name[:3])) for name in pair): score
            for *pair, score in table.select("path", "related_path", "score").rows()
        }

    straight = scores(found, int)
    assert len(straight) >= 4
    assert straight == scores(there, lambda place: last - place)


def test_no_photos_give_no_pairs() -> None:
    photos, looks = seen([], "")
    found = near_duplicates(photos, looks, 0.8, silent)
    assert found.is_empty()
    assert duplicate_groups(photos, found).tolist() == []
