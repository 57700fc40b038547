"""The desk over HTTP: for the holder of the token, from its own page, under a local name."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from PIL import Image

from fledged.reviewing.decisions import read_decisions
from tests.reviewing.conftest import BIRD, HEADERS, TOKEN, Place, hashes, serving

TOKEN_HEADER = "X-Fledged-Token"
PATHS = ["/", "/page.js", "/page.css", "/icon.svg", "/queue", "/changes", "/photos?label=x", "/photo/0", "/nothing"]


def post(url: str, *decisions: dict[str, Any], headers: dict[str, str] = HEADERS) -> httpx.Response:
    return httpx.post(f"{url}/decisions", json={"decisions": decisions}, headers=headers)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_the_token(url: str, path: str) -> None:
    for name, text in (
        ("X-None", ""),
        (TOKEN_HEADER, TOKEN + "x"),
        ("Cookie", "fledged_review=x"),
        (TOKEN_HEADER, "ü"),
    ):
        answer = httpx.get(url + path, headers=[(name.encode(), text.encode())])
        assert answer.status_code == 403
        assert "fledged review" in answer.text
        assert TOKEN not in answer.text


def test_a_decision_without_the_token_is_not_made(url: str, place: Place) -> None:
    wish = {"photo": 0, "action": "drop", "seen": None}
    assert post(url, wish, headers={"X-Fledged-Review": "1"}).status_code == 403
    assert httpx.post(f"{url}/decisions?token={TOKEN}", json={"decisions": [wish]}).status_code == 403
    assert place.lines() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Fledged-Token": TOKEN},  # a form of another site can send no header of ours
        HEADERS | {"Origin": "http://evil.example"},
        HEADERS | {"Origin": "http://127.0.0.1:1"},
        HEADERS | {"Origin": "null"},
        HEADERS | {"Sec-Fetch-Site": "cross-site"},
        HEADERS | {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_pages_cannot_decide(url: str, place: Place, headers: dict[str, str]) -> None:
    answer = post(url, {"photo": 0, "action": "drop", "seen": None}, headers=headers)
    assert answer.status_code == 403
    assert place.lines() == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_a_name_that_was_rebound_to_this_machine_is_refused(url: str, host: str) -> None:
    assert httpx.get(f"{url}/queue", headers=HEADERS | {"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1234", "[::1]:80"])
def test_a_tunnel_to_another_port_is_welcome(url: str, host: str) -> None:
    assert httpx.get(f"{url}/queue", headers=HEADERS | {"Host": host}).status_code == 200


def test_the_token_goes_from_the_address_into_a_cookie(url: str) -> None:
    with httpx.Client(base_url=url) as browser:
        first = browser.get(f"/?token={TOKEN}")
        assert (first.status_code, first.headers["location"]) == (303, "/")
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        page = browser.get("/")
        assert page.status_code == 200
        assert "<title>Review" in page.text
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert page.headers["referrer-policy"] == "no-referrer"


def test_the_queue_holds_findings_photos_and_decisions(url: str, place: Place) -> None:
    record = httpx.get(f"{url}/queue", headers=HEADERS).json()
    assert len(record["items"]) == 7
    assert record["decisions"] == {}
    assert record["reviewer"] == "ana"
    assert str(place.lake) not in json.dumps(record)
    named = {row for item in record["items"] for row in item["photos"]}
    assert {str(row) for row in named} <= set(record["photos"])
    of_class = httpx.get(f"{url}/photos", params={"label": BIRD}, headers=HEADERS).json()["photos"]
    assert [photo["path"] for photo in of_class] == sorted(
        path for path in place.snapshot.photos()["path"] if path.startswith(BIRD)
    )


def test_photos_are_encoded_anew_and_there_is_no_way_out_of_the_lake(url: str, place: Place) -> None:
    row = place.row(f"{BIRD}/0.jpg")
    answer = httpx.get(f"{url}/photo/{row}?size=thumb", headers=HEADERS)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content != (place.lake / BIRD / "0.jpg").read_bytes()
    for bad in ("/photo/99999", "/photo/-1", "/photo/..%2f..%2fetc%2fpasswd", f"/photo/{row}?size=huge", "/photo/x"):
        assert httpx.get(url + bad, headers=HEADERS).status_code in (400, 404)
    broken = httpx.get(f"{url}/photo/{place.row(f'{BIRD}/broken.jpg')}", headers=HEADERS)
    assert (broken.status_code, broken.json()["error"][:9]) == (422, "truncated")
    (place.lake / BIRD / "0.jpg").unlink()
    Image.new("RGB", (9, 9)).save(place.lake / BIRD / "3.jpg")
    assert httpx.get(f"{url}/photo/{row}", headers=HEADERS).json() == {"error": "vanished since the scan"}
    changed = httpx.get(f"{url}/photo/{place.row(f'{BIRD}/3.jpg')}", headers=HEADERS)
    assert changed.json() == {"error": "changed since the scan"}


def test_a_decision_is_in_the_log_with_who_when_and_what(url: str, place: Place) -> None:
    before = hashes(place.lake)
    row = place.row(f"{BIRD}/1.jpg")
    answer = post(url, {"photo": row, "action": "relabel", "label": "winged_drone", "seen": None})
    assert answer.status_code == 200
    (line,) = place.lines()
    written = json.loads(line)
    assert written.pop("time").endswith("Z")
    assert written == {
        "path": f"{BIRD}/1.jpg",
        "action": "relabel",
        "label": "winged_drone",
        "reviewer": "ana",
        "sha256": place.snapshot.photos()["sha256"][row],
    }
    changes = httpx.get(f"{url}/changes?since=0", headers=HEADERS).json()
    assert changes["version"] == 1
    assert changes["decisions"] == answer.json()["decisions"]
    assert httpx.get(f"{url}/changes?since=1", headers=HEADERS).json()["decisions"] == {}
    name = answer.json()["decisions"][str(row)]["name"]
    assert post(url, {"photo": row, "action": "undecide", "seen": name}).json()["decisions"] == {str(row): None}
    assert read_decisions(place.log).is_empty()
    assert hashes(place.lake) == before


def test_a_decision_on_a_stale_state_is_refused_with_what_stands(url: str, place: Place) -> None:
    post(url, {"photo": 0, "action": "keep", "seen": None})
    answer = post(url, {"photo": 1, "action": "drop", "seen": None}, {"photo": 0, "action": "drop", "seen": None})
    assert answer.status_code == 409
    assert "in the meantime" in answer.json()["error"]
    assert answer.json()["decisions"]["0"]["action"] == "keep"
    assert answer.json()["decisions"]["1"] is None
    assert len(place.lines()) == 1


def test_two_servers_on_one_log_see_each_other(url: str, place: Place) -> None:
    with serving(place, "ben") as other:
        made = post(url, {"photo": 0, "action": "drop", "seen": None}).json()["decisions"]["0"]
        assert made["reviewer"] == "ana"
        assert httpx.get(f"{other}/changes?since=0", headers=HEADERS).json()["decisions"] == {"0": made}
        assert post(other, {"photo": 0, "action": "keep", "seen": None}).status_code == 409
        assert post(other, {"photo": 0, "action": "keep", "seen": made["name"]}).status_code == 200
        assert httpx.get(f"{url}/changes?since=1", headers=HEADERS).json()["decisions"]["0"]["reviewer"] == "ben"


def test_a_decision_about_an_earlier_file_of_that_name_does_not_stand(url: str, place: Place) -> None:
    path = place.snapshot.photos()["path"][0]
    place.log.write_text(json.dumps({"path": path, "action": "drop", "sha256": "0" * 64}) + "\n")
    assert httpx.get(f"{url}/queue", headers=HEADERS).json()["decisions"] == {"0": None}
    assert post(url, {"photo": 0, "action": "keep", "seen": None}).status_code == 200
    assert read_decisions(place.log)["action"].to_list() == ["keep"]


@pytest.mark.parametrize(
    "wishes",
    [
        [],
        [{"photo": 0, "action": "burn"}],
        [{"photo": 99999, "action": "drop"}],
        [{"photo": -1, "action": "drop"}],
        [{"photo": 0, "action": "relabel"}],
        [{"photo": 0, "action": "drop", "label": "x"}],
        [{"photo": 0, "action": "relabel", "label": "../x"}],
        [{"photo": 0, "action": "relabel", "label": "a\nb"}],
        [{"photo": 0, "action": "relabel", "label": " "}],
        [{"photo": 0, "action": "relabel", "label": "x" * 300}],
        [{"photo": 0, "action": "drop"}, {"photo": 0, "action": "keep"}],
        [{"photo": 0, "action": "drop", "path": "/etc/passwd"}],
    ],
)
def test_what_is_no_decision_is_refused(url: str, place: Place, wishes: list[dict[str, Any]]) -> None:
    answer = post(url, *wishes)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert place.lines() == []


def test_a_body_that_is_too_large_is_refused(url: str, place: Place) -> None:
    assert httpx.post(f"{url}/decisions", content=bytes(20 * 2**20), headers=HEADERS).status_code == 413
    assert httpx.get(f"{url}/queue", headers=HEADERS).status_code == 200
    assert place.lines() == []


def test_a_spoilt_log_is_told_and_nothing_is_written(url: str, place: Place) -> None:
    place.log.write_text("=======\n")
    answer = post(url, {"photo": 0, "action": "drop", "seen": None})
    assert answer.status_code == 503
    assert "Line 1 is a conflict marker of git" in answer.json()["error"]
    assert place.log.read_text() == "=======\n"
