"""The lake that is filled: named by content, never overwritten, each with its origin."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fledged.collecting.offers import Refusal
from fledged.collecting.store import extension, filling
from fledged.errors import LakeError
from fledged.provenance import Provenance, read_provenance
from tests.collecting.photos import photo

ORIGIN = Provenance(path="", source_url="https://a.example/1", group="nest")


def name(data: bytes, digits: int = 16) -> str:
    return hashlib.sha256(data).hexdigest()[:digits]


def test_a_photo_is_named_by_its_content_and_written_once(tmp_path: Path) -> None:
    with filling(tmp_path / "lake", keep_splits=True) as store:
        first = store.add(photo(1), "jpg", "owl", None, ORIGIN)
        again = store.add(photo(1), "jpg", "owl", None, ORIGIN)
        elsewhere = store.add(
            photo(1), "jpg", "owl", None, ORIGIN.model_copy(update={"source_url": "https://b", "group": None})
        )
        other_class = store.add(photo(1), "jpg", "hawk", None, ORIGIN)
    assert first.path == f"owl/{name(photo(1))}.jpg"
    assert [first.is_new, again.is_new, elsewhere.is_new, other_class.is_new] == [True, False, False, True]
    lines = list(read_provenance(tmp_path / "lake"))
    assert [(line.path, line.source_url) for line in lines] == [
        (first.path, "https://a.example/1"),
        (first.path, "https://b"),
        (other_class.path, "https://a.example/1"),
    ]
    # The last line of a photo wins: a second origin must not make it forget its group.
    assert {line.group for line in lines} == {"nest"}
    assert {line.sha256 for line in lines} == {name(photo(1), 64)}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    short, full = tmp_path / f"owl/{name(photo(1))}.jpg", tmp_path / f"owl/{name(photo(1), 64)}.jpg"
    short.parent.mkdir()
    short.write_bytes(b"somebody's own")
    with filling(tmp_path, keep_splits=True) as store:
        assert store.add(photo(1), "jpg", "owl", None, ORIGIN).path == f"owl/{full.name}"
        full.write_bytes(b"also changed")
        with pytest.raises(Refusal, match="a changed file has its name"):
            store.add(photo(1), "jpg", "owl", None, ORIGIN)
    assert (short.read_bytes(), full.read_bytes()) == (b"somebody's own", b"also changed")


def test_splits_are_kept_where_the_lake_has_them(tmp_path: Path) -> None:
    with filling(tmp_path / "a", keep_splits=True) as store:
        assert store.add(photo(1), "jpg", "owl", "train", ORIGIN).path.startswith("train/owl/")
        with pytest.raises(Refusal, match="the lake has train, val and test folders"):
            store.add(photo(1), "jpg", "owl", None, ORIGIN)
    with filling(tmp_path / "b", keep_splits=True) as store:
        store.add(photo(1), "jpg", "owl", None, ORIGIN)
        with pytest.raises(Refusal, match="which the lake has not"):
            store.add(photo(1), "jpg", "owl", "train", ORIGIN)
        with pytest.raises(Refusal, match="taken for a split"):
            store.add(photo(1), "jpg", "Test", None, ORIGIN)
    with filling(tmp_path / "b", keep_splits=False) as store:
        assert store.add(photo(2), "jpg", "owl", "train", ORIGIN).path.startswith("owl/")


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    half, own = tmp_path / f"owl/.{name(b'x')}.jpg.0123abcd.part", tmp_path / "owl/.mine.part"
    half.parent.mkdir()
    half.write_bytes(b"x")
    own.write_bytes(b"x")
    with filling(tmp_path, keep_splits=True):
        pass
    assert not half.exists()
    assert own.exists()


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fledged.collecting.store._LOCK_TIMEOUT_S", 0.1)
    with (
        filling(tmp_path, keep_splits=True),
        pytest.raises(LakeError, match="Another `fledged collect`"),
        filling(tmp_path, keep_splits=True),
    ):
        pass


def test_a_lake_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place, words in ((tmp_path / "file", "not a folder"), (tmp_path / "file/lake", "Cannot write")):
        with pytest.raises(LakeError, match=words), filling(place, keep_splits=True):
            pass


@pytest.mark.parametrize(
    ("kind", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif"), ("BMP", "bmp")]
)
def test_the_extension_is_that_of_the_real_format(kind: str, suffix: str) -> None:
    assert extension(photo(1, kind), 10**6) == suffix


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\n<!DOCTYPE html><p>Not found", "an HTML page, not a photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a photo"),
        (b"words", "not a photo"),
        (b"", "cannot be read as a photo"),
        (photo(1)[:-400], "cannot be read as a photo"),
    ],
)
def test_what_is_no_whole_photo_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as why:
        extension(data, 10**6)
    assert why.value.reason == reason
