"""Which files of a lake are photos of which class."""

from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.errors import LakeError
from fledged.scanning import walk as walking
from fledged.scanning.walk import sampled, walk


def put(lake: Path, *paths: str, content: bytes = b"\xff\xd8\xff") -> None:
    for path in paths:
        (lake / path).parent.mkdir(parents=True, exist_ok=True)
        (lake / path).write_bytes(content)


def labels(lake: Path) -> dict[str, str]:
    return {found.path: found.label for found in walk(lake).found}


def reasons(lake: Path) -> dict[str, str]:
    return {skipped.path: skipped.reason for skipped in walk(lake).skipped}


def test_the_folder_under_the_lake_is_the_label_however_deep(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg", "owl/2019/spring/b.JPG", "hawk/c.jpeg")
    assert labels(tmp_path) == {"owl/a.jpg": "owl", "owl/2019/spring/b.JPG": "owl", "hawk/c.jpeg": "hawk"}


def test_a_listed_photo_is_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owl").mkdir()
    entries = ((f"owl/{number:08d}.jpg", (number, 10**18 + number)) for number in range(60_000))
    monkeypatch.setattr(walking, "_entries", lambda *_: entries)
    tracemalloc.start()
    try:
        listing = walk(tmp_path)
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert listing.photos.height == 60_000
    assert left < 2**20  # a tenth of what they would take as objects
    assert most < 16 * 2**20


def test_split_folders_are_recognised_and_the_label_is_below_them(tmp_path: Path) -> None:
    put(tmp_path, "train/owl/a.jpg", "Valid/owl/b.jpg", "test/hawk/c.jpg")
    found = {f.path: (f.label, f.lake_split) for f in walk(tmp_path).found}
    assert found == {
        "train/owl/a.jpg": ("owl", "train"),
        "Valid/owl/b.jpg": ("owl", "val"),
        "test/hawk/c.jpg": ("hawk", "test"),
    }


def test_a_class_that_is_called_train_stays_a_class_beside_others(tmp_path: Path) -> None:
    put(tmp_path, "train/a.jpg", "plane/b.jpg")
    assert labels(tmp_path) == {"train/a.jpg": "train", "plane/b.jpg": "plane"}


def test_what_is_no_photo_is_skipped_with_its_reason(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg", "owl/.DS_Store", "owl/Thumbs.db", "owl/notes.txt", ".git/owl/b.jpg", "stray.jpg")
    (tmp_path / "owl/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "owl/notes.txt").write_text("hello")
    assert reasons(tmp_path) == {
        ".git": "hidden",
        "owl/.DS_Store": "hidden",
        "owl/Thumbs.db": "not a photo (.db)",
        "owl/notes.txt": "not a photo (.txt)",
        "stray.jpg": "not in a class folder",
    }


def test_a_photo_with_a_strange_or_no_extension_is_known_by_its_content(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg_large", "owl/download")
    put(tmp_path, "owl/b", content=b"RIFF\0\0\0\0WEBPVP8 ")
    put(tmp_path, "owl/sound", content=b"RIFF\0\0\0\0WAVEfmt ")
    put(tmp_path, "owl/heic", content=b"\0\0\0\x18ftypheic\0\0\0\0")
    put(tmp_path, "owl/avif", content=b"\0\0\0\x18ftypavif\0\0\0\0")
    put(tmp_path, "owl/IMG_1.MOV", content=b"\0\0\0\x14ftypqt  \0\0\0\0")
    put(tmp_path, "owl/film.mp4", content=b"\0\0\0\x18ftypisom\0\0\0\0")
    assert set(labels(tmp_path)) == {"owl/a.jpg_large", "owl/download", "owl/b", "owl/heic", "owl/avif"}
    assert reasons(tmp_path) == {
        "owl/sound": "not a photo (no extension)",
        "owl/IMG_1.MOV": "not a photo (.mov)",
        "owl/film.mp4": "not a photo (.mp4)",
    }


def test_messy_names_are_kept(tmp_path: Path) -> None:
    names = ["owl/my photo (1).jpg", "owl/сова 🦉.jpg", "owl/two\nlines.jpg", "owl/a.jpg", "owl/a.png", "owl/a.JPG"]
    put(tmp_path, *names)
    assert sorted(labels(tmp_path)) == sorted(names)


def test_a_name_that_is_not_utf8_is_named_and_skipped(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg")
    with open(os.fsencode(tmp_path) + b"/owl/\xff\xfe.jpg", "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"\xff\xd8\xff")
    assert reasons(tmp_path) == {r"owl/\udcff\udcfe.jpg": "file name is not UTF-8"}


def test_links_pipes_and_loops_do_not_stop_the_walk(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg")
    (tmp_path / "owl/loop").symlink_to(tmp_path / "owl")
    (tmp_path / "owl/nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    os.mkfifo(tmp_path / "owl/pipe.jpg")
    assert set(labels(tmp_path)) == {"owl/a.jpg"}
    assert reasons(tmp_path) == {
        "owl/loop": "a link back to a folder above",
        "owl/nowhere.jpg": "cannot be read: No such file or directory",
        "owl/pipe.jpg": "not a regular file",
    }


def test_a_missing_lake_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="There is no such folder"):
        walk(tmp_path / "nowhere")


def test_an_empty_class_folder_is_a_label_without_photos(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg")
    (tmp_path / "hawk").mkdir()
    assert walk(tmp_path).labels == ["hawk", "owl"]
    put(tmp_path / "split", "train/owl/a.jpg", "test/owl/b.jpg")
    (tmp_path / "split/test/hawk").mkdir()
    assert walk(tmp_path / "split").labels == ["hawk", "owl"]


def test_devices_and_rings_of_links_are_named_and_skipped(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg")
    (tmp_path / "owl/zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "owl/one.jpg").symlink_to("two.jpg")
    (tmp_path / "owl/two.jpg").symlink_to("one.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tmp_path / "owl")  # a socket's path must be short
        try:
            listening.bind("socket.jpg")
        finally:
            os.chdir(here)
    assert set(labels(tmp_path)) == {"owl/a.jpg"}
    assert reasons(tmp_path) == {
        "owl/one.jpg": "cannot be read: Too many levels of symbolic links",
        "owl/socket.jpg": "not a regular file",
        "owl/two.jpg": "cannot be read: Too many levels of symbolic links",
        "owl/zero.jpg": "not a regular file",
    }


def test_a_ring_of_links_between_folders_ends(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg", "hawk/b.jpg")
    (tmp_path / "owl/hawks").symlink_to(tmp_path / "hawk")
    (tmp_path / "hawk/owls").symlink_to(tmp_path / "owl")
    assert set(reasons(tmp_path).values()) == {"a link back to a folder above"}
    assert labels(tmp_path)["owl/hawks/b.jpg"] == "owl"


def test_a_bottomless_folder_ends(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg", "/".join(["owl", *"d" * 300]) + "/b.jpg")
    assert set(labels(tmp_path)) == {"owl/a.jpg"}
    assert set(reasons(tmp_path).values()) == {"more than 200 folders deep"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg", "locked/b.jpg")
    (tmp_path / "locked").chmod(0)
    try:
        assert reasons(tmp_path) == {"locked": "folder cannot be listed: Permission denied"}
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_folders_and_files_that_disappear_midway_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = tmp_path / "lake"
    put(lake, "hawk/a.jpg", "owl/b.jpg", "owl/c.jpg", "raven/d.jpg")
    original = os.scandir

    def vanishing(folder: Path) -> object:
        entries = list(original(folder))
        if folder == lake / "hawk" and (lake / "owl").exists():  # while hawks are listed, the owls and a hawk go
            (lake / "owl").rename(tmp_path / "elsewhere")
            (lake / "hawk/a.jpg").unlink()
        return entries

    monkeypatch.setattr(os, "scandir", vanishing)
    listing = walk(lake)
    assert [found.path for found in listing.found] == ["raven/d.jpg"]
    assert {skipped.path: skipped.reason for skipped in listing.skipped} == {
        "hawk/a.jpg": "cannot be read: No such file or directory",
        "owl": "folder cannot be listed: No such file or directory",
    }


@given(
    names=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 99)), unique=True, min_size=1),
    n=st.integers(1, 40),
    more=st.integers(0, 40),
)
def test_a_sample_has_as_many_of_each_label_as_there_are_and_is_part_of_a_larger_one(
    names: list[tuple[str, int]], n: int, more: int
) -> None:
    paths = sorted(f"{label}/{number}.jpg" for label, number in names)
    photos = pl.DataFrame({"path": paths, "label": [path[0] for path in paths]})
    sample = sampled(photos, n)
    assert sample.height == min(n, photos.height)
    assert sample["path"].is_sorted()
    assert set(sample["path"]) <= set(sampled(photos, n + more)["path"])
    in_sample, there = (dict(table.group_by("label").len().rows()) for table in (sample, photos))
    most = max(in_sample.values())
    assert all(in_sample.get(label, 0) >= min(of_label, most - 1) for label, of_label in there.items())


def test_a_sample_does_not_depend_on_other_photos_of_other_classes() -> None:
    owls = [f"owl/{number}.jpg" for number in range(50)]
    hawks = [f"hawk/{number}.jpg" for number in range(50)]
    alone = sampled(pl.DataFrame({"path": owls, "label": ["owl"] * 50}), 10)
    among = sampled(pl.DataFrame({"path": hawks + owls, "label": ["hawk"] * 50 + ["owl"] * 50}), 20)
    assert alone["path"].to_list() == [path for path in among["path"] if path.startswith("owl")]
    assert alone["path"].to_list() != owls[:10]
    assert sampled(alone, 0) is alone
