"""A folder that may still be syncing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fledged.collecting import folders
from fledged.collecting.folders import STILL_WRITTEN, is_partial, open_folder
from fledged.collecting.offers import Photo, Refusal, Refused
from tests.collecting.photos import photo


def put(folder: Path, name: str, data: bytes, age_s: float = 60) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


PARTIAL = """a.jpg.part a.jpg.crdownload a.tmp .a.jpg.icloud .syncthing.a.jpg.tmp ~$a.doc .a.jpg.Xy12zQ
a.jpg.partial"""


@pytest.mark.parametrize("name", PARTIAL.split())
def test_names_of_files_that_are_still_written(name: str) -> None:
    assert is_partial(name)


@pytest.mark.parametrize("name", ["a.jpg", "part.jpg", ".hidden.jpg", "tmp", "a.part.jpg"])
def test_names_of_others(name: str) -> None:
    assert not is_partial(name)


def test_everything_is_a_photo_or_named(tmp_path: Path) -> None:
    put(tmp_path, "owl/a.jpg", photo(1))
    put(tmp_path, "owl/b.jpg.part", photo(2)[:100])
    put(tmp_path, "owl/.DS_Store", b"x")
    put(tmp_path, "stray.jpg", photo(3))
    os.mkfifo(tmp_path / "owl/pipe.jpg")
    (tmp_path / "owl/loop").symlink_to(tmp_path / "owl")
    (tmp_path / "owl/nowhere.jpg").symlink_to("gone")
    offers = list(open_folder(tmp_path, "", 10**6).items)
    assert [(o.name, o.label, o.read()) for o in offers if isinstance(o, Photo)] == [("owl/a.jpg", "owl", photo(1))]
    assert {o.what: (o.reason, o.again) for o in offers if isinstance(o, Refused)} == {
        "owl/b.jpg.part": (STILL_WRITTEN, True),
        "owl/.DS_Store": ("hidden, or written by a system", False),
        "owl/pipe.jpg": ("not a regular file", False),
        "owl/loop": ("a link back to a folder above", False),
        "owl/nowhere.jpg": ("cannot be read", False),
        "stray.jpg": ("no class", False),
    }


def test_a_file_that_still_grows_is_left_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "SETTLED_S", 0.3)
    put(tmp_path, "owl/old.jpg", photo(1))
    growing = put(tmp_path, "owl/growing.jpg", photo(2)[:500], age_s=0)
    put(tmp_path, "owl/new.jpg", photo(3), age_s=0)
    offers = [offer for offer in open_folder(tmp_path, "", 10**6).items if isinstance(offer, Photo)]
    assert [offer.name for offer in offers] == ["owl/old.jpg", "owl/growing.jpg", "owl/new.jpg"]
    growing.write_bytes(photo(2)[:900])
    assert offers[0].read() == photo(1)
    with pytest.raises(Refusal, match=STILL_WRITTEN) as why:
        offers[1].read()
    assert why.value.again
    assert offers[2].read() == photo(3)


def test_a_folder_without_end_is_named(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"a" * 250)
    deep.mkdir(parents=True)
    (offer,) = open_folder(tmp_path, "", 10**6).items
    assert isinstance(offer, Refused)
    assert offer.reason == "more than 200 folders deep"


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "owl/a.jpg", photo(1))
    (offer,) = open_folder(tmp_path, "", 10**6).items
    path.unlink()
    assert isinstance(offer, Photo)
    with pytest.raises(Refusal, match="there is no such file"):
        offer.read()
