"""Equal bytes and equal pictures are found, and different skies are not taken for one."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.progress import silent
from fledged.reviewing import duplicates
from fledged.reviewing.duplicates import exact_duplicates, near_duplicates
from fledged.scanning.probe import perceptual_hashes


def table(thumbnails: list[np.ndarray[tuple[int, int], np.dtype[np.uint8]]], labels: str) -> pl.DataFrame:
    hashes = [perceptual_hashes(thumbnail) for thumbnail in thumbnails]
    return pl.DataFrame(
        {
            "path": [f"{i:03d}.jpg" for i in range(len(thumbnails))],
            "label": list(labels),
            "sha256": [f"{i:03d}" for i in range(len(thumbnails))],
            "phash": pl.Series([straight for straight, _ in hashes], dtype=pl.UInt64),
            "phash_mirrored": pl.Series([mirrored for _, mirrored in hashes], dtype=pl.UInt64),
            "thumbnail": [np.ascontiguousarray(thumbnail).tobytes() for thumbnail in thumbnails],
        }
    )


def picture(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.kron(np.random.default_rng(seed).integers(0, 255, (8, 8)), np.ones((4, 4))).astype(np.uint8)


def pairs(found: pl.DataFrame) -> set[tuple[str, str]]:
    return set(found.select("path", "related_path").rows())


def test_equal_bytes_keep_the_first_by_path() -> None:
    photos = pl.DataFrame({"path": ["b", "c", "a", "d"], "label": list("xxxy"), "sha256": ["1", "1", "1", "2"]})
    found = exact_duplicates(photos)
    assert found.rows() == [("b", "a", True), ("c", "a", True)]


def test_equal_bytes_under_two_labels_are_a_conflict() -> None:
    photos = pl.DataFrame({"path": ["a", "b"], "label": ["x", "y"], "sha256": ["1", "1"]})
    assert exact_duplicates(photos).rows() == [("b", "a", False)]


def test_brighter_and_mirrored_copies_are_found_and_others_are_not() -> None:
    original = picture(0)
    brighter = np.clip(original.astype(int) + 20, 0, 255).astype(np.uint8)
    found = near_duplicates(
        table([original, brighter, original[:, ::-1], picture(1), picture(2)], "xxyxx"), 10, 0.96, silent
    )
    assert pairs(found) == {("001.jpg", "000.jpg"), ("002.jpg", "000.jpg"), ("002.jpg", "001.jpg")}
    labels = {(path, related): same for path, related, _, same in found.rows()}
    assert labels[("001.jpg", "000.jpg")]
    assert not labels[("002.jpg", "000.jpg")]


def test_flat_pictures_are_not_taken_for_each_other() -> None:
    flat = [np.full((32, 32), level, np.uint8) for level in (100, 150, 200)]
    assert near_duplicates(table(flat, "xxx"), 10, 0.96, silent).is_empty()


def test_no_photos_give_no_pairs() -> None:
    assert near_duplicates(table([picture(0)], "x").clear(), 10, 0.96, silent).is_empty()


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 60), copies=st.lists(st.integers(0, 59), max_size=20), block=st.integers(1, 500))
def test_blocks_find_what_comparing_all_at_once_finds(n: int, copies: list[int], block: int) -> None:
    seeds = [*range(n), *(seed % n for seed in copies)]
    photos = table([picture(seed) for seed in seeds], "x" * len(seeds))
    whole = near_duplicates(photos, 8, 0.96, silent)
    before = duplicates._COMPARISONS
    duplicates._COMPARISONS = block
    try:
        assert near_duplicates(photos, 8, 0.96, silent).equals(whole)
    finally:
        duplicates._COMPARISONS = before
    expected = {(j, i) for j in range(len(seeds)) for i in range(j) if seeds[i] == seeds[j]}
    assert {(f"{j:03d}.jpg", f"{i:03d}.jpg") for j, i in expected} <= pairs(whole)
