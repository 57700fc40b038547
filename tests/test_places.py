"""Addresses told from paths, and what buckets refuse said in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fledged import listing, places
from fledged.errors import LakeError
from fledged.places import Changed, TooLarge
from tests.aws import between, buckets


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with buckets(tmp_path_factory.mktemp("cache"), "lake") as client:
        yield client


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("s3://lake/photos/", "s3://lake/photos"),
        ("S3://lake//photos", "s3://lake/photos"),
        ("s3a://lake/photos", "s3://lake/photos"),
        (Path("s3://lake/photos"), "s3://lake/photos"),  # a Path takes a slash away
        ("gs://lake", "gs://lake"),
        ("gcs://lake/ä b/#1?", "gs://lake/ä b/#1?"),
        ("memory://lake", "memory://lake"),
        ("abfss://box@account.dfs.core.windows.net/p", "abfss://box@account.dfs.core.windows.net/p"),
        ("file:///photos/x", "/photos/x"),
        ("/photos/x", "/photos/x"),
    ],
)
def test_a_place_is_spelled_in_one_way(given: str | Path, place: str) -> None:
    assert places.resolved(given) == place
    assert places.resolved(place) == place
    assert places.is_remote(place) == (not place.startswith("/"))


def test_a_folder_whose_name_looks_like_an_address_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ab:/c").mkdir(parents=True)
    assert places.resolved("ab:/c") == str(tmp_path / "ab:/c")
    assert not places.looks_remote("ab:/c")
    assert not places.looks_remote("C:/photos")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://example.org/photos", "fledged collect"),
        ("s3://key:secret@lake/photos", "Credentials do not belong into an address"),
        ("s3://", "names no bucket"),
    ],
)
def test_addresses_that_can_be_no_place_of_photos(address: str, words: str) -> None:
    with pytest.raises(LakeError, match=words) as refused:
        places.resolved(address)
    assert "secret" not in str(refused.value)


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(LakeError, match="no scheme `nosuch`"):
        list(listing.files("nosuch://lake/photos"))


def test_a_scheme_whose_package_is_missing_names_it() -> None:
    with pytest.raises(LakeError, match=r"needs another package.*paramiko"):
        list(listing.files("sftp://host/photos"))


def test_a_bucket_that_is_not_there(client: Any) -> None:
    with pytest.raises(LakeError, match=r"There is no such bucket \(s3://nosuch/photos\)"):
        list(listing.files("s3://nosuch/photos"))
    with pytest.raises(LakeError, match="There is nothing at this address"):
        list(listing.files("s3://lake/nosuch"))


def test_no_permission_and_a_service_that_slows_down(client: Any) -> None:
    client.put_object(Bucket="lake", Key="p/owl/1.jpg", Body=b"12345")
    with between() as told:
        told.spoil = lambda method, path: 503 if len(told.seen) < 3 else None
        assert places.download("s3://lake/p/owl/1.jpg", 5, None) == b"12345"
        assert len(told.seen) == 4  # HEAD three times, GET once
        told.spoil = lambda method, path: 403
        with pytest.raises(PermissionError):
            places.download("s3://lake/p/owl/1.jpg", 5, None)
        with pytest.raises(LakeError, match="You may not list this"):
            list(listing.files("s3://lake/p"))


def test_an_address_that_does_not_answer(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(places, "_ATTEMPTS", 2)
    with pytest.raises(LakeError, match="The bucket does not answer") as refused:
        list(listing.files("s3://lake/photos"))
    assert "\n" not in str(refused.value)


def test_nothing_is_fetched_of_what_is_too_large_or_changed(client: Any) -> None:
    client.put_object(Bucket="lake", Key="p/owl/large.jpg", Body=b"x" * 100)
    with between() as told:
        with pytest.raises(TooLarge):
            places.download("s3://lake/p/owl/large.jpg", 100, 99)
        assert not told.seen
        with pytest.raises(TooLarge):
            places.download("s3://lake/p/owl/large.jpg", -1, 99)
        with pytest.raises(Changed):
            places.download("s3://lake/p/owl/large.jpg", 50, None)
        with pytest.raises(FileNotFoundError):
            places.download("s3://lake/p/owl/gone.jpg", 50, 99)
        assert told.count("GET") == 0
