"""Bytes from a disk and from a bucket, and what is fetched ahead of its time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fledged import reading
from fledged.places import TooLarge
from fledged.reading import Spot, read, spots
from fledged.regular import NotRegular
from tests.aws import between, buckets


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with buckets(tmp_path_factory.mktemp("cache"), "lake") as client:
        for number in range(40):
            client.put_object(Bucket="lake", Key=f"owl/{number:02d}.jpg", Body=b"%02d" % number * 500)
        yield client


def test_a_file_of_this_machine_is_read_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"123")
    os.mkfifo(tmp_path / "b.jpg")
    assert read(str(tmp_path / "a.jpg"), 3) == b"123"
    with pytest.raises(TooLarge):
        read(str(tmp_path / "a.jpg"), 2)
    with pytest.raises(NotRegular):
        read(str(tmp_path / "b.jpg"))
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "c.jpg"))


def test_files_of_a_bucket_are_fetched_ahead_once_each(client: Any) -> None:
    files = spots([f"s3://lake/owl/{number:02d}.jpg" for number in range(40)], [1000] * 40)
    with between() as told:
        assert [read(file)[:2] for file in files] == [b"%02d" % number for number in range(40)]
        assert told.count("GET") == 40
        assert {path for method, path in told.seen if method == "GET"} == {
            f"/lake/owl/{number:02d}.jpg" for number in range(40)
        }


def test_files_of_this_machine_have_nothing_ahead() -> None:
    assert spots(["/a", "/b"]) == [Spot("/a"), Spot("/b")]


def test_what_is_on_its_way_is_bounded(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_BYTES", 3_000)
    ahead = reading._Ahead()
    files = spots([f"s3://lake/owl/{number:02d}.jpg" for number in range(16)], [1000] * 16)
    most = 0
    for file in files:
        ahead.read(file, None)
        most = max(most, ahead._n_bytes)
    assert 0 < most <= 3_000
    monkeypatch.setattr(reading, "_MOST_BYTES", 10**9)
    monkeypatch.setattr(reading, "_MOST_FILES", 4)
    ahead.read(files[0], None)  # what nobody comes for is forgotten
    assert len(ahead._coming) <= 4


def test_the_limit_holds_for_what_is_fetched_ahead(client: Any) -> None:
    with between() as told:
        files = spots([f"s3://lake/owl/{number:02d}.jpg" for number in range(4)], [1000] * 4)
        for file in files:
            with pytest.raises(TooLarge):
                read(file, 999)
        assert not told.seen
