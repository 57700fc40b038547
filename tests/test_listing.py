"""What lies behind an address, and what cannot be a path there."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from moto.s3.models import s3_backends
from pyarrow.fs import FileInfo, FileType

from fledged import listing
from fledged.scanning.walk import walk
from tests.aws import between, buckets

_KEYS = {
    "owl/1.jpg": None,
    "owl/deep/er/2.JPG": None,
    "owl/.hidden/3.jpg": "hidden",
    "owl//4.jpg": "its key is no path (an empty part, . or ..)",
    "owl/../5.jpg": "its key is no path (an empty part, . or ..)",
    ".git/config": "hidden",
    "top.jpg": None,
    "ünï/ 6+%20.jpg": None,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with buckets(tmp_path_factory.mktemp("cache"), "lake") as client:
        yield client


def test_every_key_is_a_file_or_has_a_reason(client: Any) -> None:
    for key in _KEYS:
        client.put_object(Bucket="lake", Key=f"odd/{key}", Body=b"12")
    client.put_object(Bucket="lake", Key="odd/empty/", Body=b"")
    client.put_object(Bucket="lake", Key="oddities/no/part.jpg", Body=b"12")
    found = {file.path: file for file in listing.files("s3://lake/odd")}
    hidden = {"owl/.hidden/3.jpg": "owl/.hidden", ".git/config": ".git"}
    assert {path: file.reason for path, file in found.items()} == {
        hidden.get(key, key): reason for key, reason in _KEYS.items()
    }
    assert all(file.n_bytes == 2 and file.mtime_ns > 10**18 for file in found.values() if not file.reason)
    assert listing.folders("s3://lake/odd") == ["empty", "owl", "ünï"]
    assert listing.is_file("s3://lake/odd/top.jpg")
    assert not listing.is_file("s3://lake/odd/owl")


def test_a_listed_file_is_what_the_service_told_and_no_object_more(monkeypatch: pytest.MonkeyPatch) -> None:
    infos = [
        FileInfo(f"lake/photos/owl/{number:08d}.jpg", FileType.File, size=7, mtime_ns=1) for number in range(20_000)
    ]
    told = {"lake/photos": [FileInfo("lake/photos/owl", FileType.Directory)], "lake/photos/owl": infos}
    source = SimpleNamespace(get_file_info=lambda selector: told.pop(selector.base_dir))
    monkeypatch.setattr(listing, "filesystem", lambda place: (source, place.removeprefix("s3://")))
    found = listing.files("s3://lake/photos")
    tracemalloc.start()
    try:
        assert next(found).path == "owl/00000000.jpg"
        assert sum(1 for _ in found) == 19_999
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not infos  # let go of one by one
    assert most < 2**20


def test_pages_of_a_thousand_are_followed(client: Any) -> None:
    for number in range(1_050):
        # As a request each this takes ten seconds; the server is in this very process.
        s3_backends["123456789012"]["aws"].put_object("lake", f"many/owl/{number:05d}.jpg", b"")
    with between() as told:
        assert len({file.path for file in listing.files("s3://lake/many")}) == 1_050
        assert len(told.seen) <= 5


def test_a_walk_sees_in_a_bucket_what_it_sees_in_a_folder(client: Any, tmp_path: Path) -> None:
    for name in ("train/owl/1.jpg", "val/hawk/2.png", "val/hawk/notes.txt", "test/owl/strange.dat", "top.jpg"):
        data = b"\xff\xd8\xff\xe0" + b"0" * 20 if "strange" in name else b"x"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
        client.put_object(Bucket="lake", Key=f"walk/{name}", Body=data)
    here, there = walk(str(tmp_path)), walk("s3://lake/walk")
    assert [(f.path, f.label, f.lake_split, f.n_bytes) for f in there.found] == [
        (f.path, f.label, f.lake_split, f.n_bytes) for f in here.found
    ]
    assert (there.skipped, there.labels) == (here.skipped, here.labels)


def test_every_other_scheme_of_fsspec_is_read_as_well() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/pool/owl/1.jpg": b"12", "/pool/hawk/2.jpg": b"1", "/pool/.hidden": b""})
    assert [(f.path, f.label, f.n_bytes) for f in walk("memory://pool").found] == [
        ("hawk/2.jpg", "hawk", 1),
        ("owl/1.jpg", "owl", 2),
    ]
