"""POST /feedback over a real server: what is kept, what is refused, and that nothing is ever overwritten."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fledged.errors import ConfigError
from fledged.feedback import Feedback, read_feedback
from fledged.predicting.predictor import Predictor, load
from fledged.serving.feedback import FeedbackLog
from tests.bundles import make_tiny_bundle
from tests.serving.conftest import serving
from tests.serving.photos import GREY, jpeg, of_all_kinds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "feedback"


@pytest.fixture
def client(predictor: Predictor, folder: Path) -> Iterator[httpx.Client]:
    settings = {"folder": str(folder), "max_megabytes": 1}
    with serving(predictor, feedback=settings, max_megabytes=0.5) as url, httpx.Client(base_url=url) as opened:
        yield opened


def send(client: httpx.Client, label: str | None, photo: bytes) -> httpx.Response:
    return client.post("/feedback", params={} if label is None else {"label": label}, content=photo)


def test_the_photo_and_what_was_said_are_kept(client: httpx.Client, folder: Path) -> None:
    photo = jpeg("red")
    sha256 = hashlib.sha256(photo).hexdigest()
    said = send(client, "blue", photo)
    assert said.status_code == 201
    assert said.json() == {"sha256": sha256, "said": "blue", "answered": "red"}
    form = client.post("/feedback?label=unknown", files={"anything": ("../../etc/x.jpg", photo)})
    assert form.json()["said"] == "unknown"
    assert [path.name for path in (folder / "photos").iterdir()] == [f"{sha256}.jpg"]
    assert (folder / f"photos/{sha256}.jpg").read_bytes() == photo
    lines = list(read_feedback(folder))
    assert [(line.sha256, line.said, line.answered) for line in lines] == [
        (sha256, "blue", "red"),
        (sha256, "unknown", "red"),
    ]
    assert lines[0].bundle_id == "c010c4ed0001"
    assert lines[0].confidence > 0.9
    assert b"etc" not in (folder / "feedback.jsonl").read_bytes()  # names of files are nobody's business
    assert client.get("/model").json()["feedback"] is True


def test_a_refused_photo_was_answered_unknown(tmp_path: Path, folder: Path) -> None:
    modest = load(make_tiny_bundle(tmp_path, knows_limits=True))
    with serving(modest, feedback={"folder": str(folder)}) as url:
        assert httpx.post(f"{url}/feedback?label=blue", content=GREY).json()["answered"] == "unknown"


def test_it_is_off_unless_there_is_a_folder(url: str) -> None:
    assert httpx.post(f"{url}/feedback?label=red", content=jpeg()).status_code == 404
    assert httpx.get(f"{url}/model").json()["feedback"] is False


@pytest.mark.parametrize("label", [None, "", "Red", "purple", "../red", "red\0", "<img src=x onerror=alert(1)>"])
def test_only_classes_of_the_bundle_can_be_said(client: httpx.Client, folder: Path, label: str | None) -> None:
    refused = send(client, label, jpeg())
    assert refused.status_code == (404 if label else 400)
    assert "curl" in refused.json()["remedy"]
    assert list(read_feedback(folder)) == []


def test_what_classify_refuses_is_refused(client: httpx.Client, folder: Path) -> None:
    photo = jpeg("red", (300, 300))
    two = client.post("/feedback?label=red", files=[("a", ("a.jpg", photo)), ("b", ("b.jpg", photo))])
    assert (two.status_code, two.json()["error"]) == (400, "Feedback is about one photo at a time")
    for data, status in ((b"", 400), (b"no photo", 415), (photo[:-3000], 422), (b"\xff" * 600_000, 413)):
        assert send(client, "red", data).status_code == status
    assert client.get("/feedback").status_code == 405
    assert list(read_feedback(folder)) == []
    assert list((folder / "photos").iterdir()) == []


def test_any_photo_that_is_answered_can_be_kept(client: httpx.Client, folder: Path) -> None:
    kinds = of_all_kinds()
    assert {send(client, "green", photo).status_code for photo in kinds.values()} == {201}
    suffixes = {path.suffix for path in (folder / "photos").iterdir()}
    assert suffixes == {".jpg", ".png", ".gif", ".webp", ".bmp", ".photo", ".tif", ".avif", ".heic"}


def test_nobody_can_fill_the_disk(client: httpx.Client, folder: Path, predictor: Predictor) -> None:
    statuses = [send(client, "green", jpeg("red") + bytes(200_000) + bytes([n])).status_code for n in range(7)]
    assert statuses == [201] * 5 + [507] * 2
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 2**20
    # What is there counts after a restart as well.
    settings = {"folder": str(folder), "max_megabytes": 1}
    with serving(predictor, feedback=settings) as url:
        assert httpx.post(f"{url}/feedback?label=red", content=jpeg() + bytes(200_000)).status_code == 507


def test_a_line_that_a_crash_cut_off_costs_nothing_else(folder: Path, predictor: Predictor) -> None:
    answer = predictor.predict(jpeg("red"))
    FeedbackLog(folder, 10**6).add(jpeg("red"), "blue", answer)
    with (folder / "feedback.jsonl").open("ab") as file:
        file.write(b'{"time": "2026-11-21T1')
    FeedbackLog(folder, 10**6).add(jpeg("blue"), "green", answer)
    assert [line.said for line in read_feedback(folder)] == ["blue", "green"]


def test_many_at_once_lose_nothing(folder: Path, predictor: Predictor) -> None:
    log, answer = FeedbackLog(folder, 10**7), predictor.predict(jpeg("red"))
    threads = [
        threading.Thread(target=lambda n=n: log.add(jpeg("red") + bytes([n % 8]), "blue", answer)) for n in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (folder / "feedback.jsonl").read_bytes().splitlines()
    assert len([Feedback.model_validate(json.loads(line)) for line in lines]) == 40
    assert len(list((folder / "photos").iterdir())) == 8


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Cannot keep feedback"):
        FeedbackLog(tmp_path / "file", 1000)


def test_a_disk_that_refuses_is_answered(client: httpx.Client, folder: Path) -> None:
    (folder / "photos").rmdir()
    (folder / "photos").touch()
    refused = send(client, "blue", jpeg())
    assert (refused.status_code, refused.json()["error"]) == (507, "This server cannot keep feedback")
