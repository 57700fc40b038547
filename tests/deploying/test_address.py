"""A deployed model, asked at its address: the real zip under AWS's emulator, or what FLEDGED_ADDRESS names.

    sam deploy …
    FLEDGED_ADDRESS=https://….lambda-url.eu-central-1.on.aws python -m pytest tests/deploying/test_address.py

FLEDGED_SIGN=1 signs requests for IAM, and FLEDGED_API_KEY is sent where it is there.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

import fledged
from fledged.deploying.invoke import invoke
from fledged.errors import RequestError
from fledged.products import Package
from fledged.serving.client import _signature
from tests.browsing import PHONE, context_of
from tests.deploying.emulator import MISSING, is_there, running
from tests.deploying.gateway import in_front_of
from tests.serving.photos import encoded, jpeg, picture

ADDRESS = os.environ.get("FLEDGED_ADDRESS", "").rstrip("/")
SIGN = os.environ.get("FLEDGED_SIGN") == "1"
PAGE = Path(fledged.__file__).parent / "serving" / "page"
pytestmark = pytest.mark.skipif(not (ADDRESS or is_there()), reason=MISSING)


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if ADDRESS:
        yield ADDRESS
        return
    packed: Package = request.getfixturevalue("packed")
    task, log = tmp_path_factory.mktemp("task"), tmp_path_factory.mktemp("log") / "log"
    with zipfile.ZipFile(packed.folder / "function.zip") as archive:
        archive.extractall(task)
    with running(task, "fledged.serving.function.handler", log) as function, in_front_of(function) as url:
        yield url


def ask(address: str, method: str, path: str, body: bytes = b"", content_type: str = "image/jpeg") -> httpx.Response:
    headers = {"content-type": content_type} if body else {}
    if key := os.environ.get("FLEDGED_API_KEY"):
        headers["x-api-key"] = key
    if SIGN:
        headers |= _signature(method, f"{address}{path}", body, headers)
    return httpx.request(method, f"{address}{path}", content=body, headers=headers, timeout=60)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_arrives_byte_by_byte(address: str, kind: str) -> None:
    answer = ask(address, "POST", "/classify", encoded(picture("green"), kind), f"image/{kind.lower()}")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {"file", "predicted", "label", "confidence", "top_k", "bundle_id"} <= set(told)
    if not ADDRESS:
        assert told["label"] == "green"


def test_a_form_of_several_photos_is_answered_one_by_one(address: str) -> None:
    form = httpx.Request("POST", address, files=[("a", ("1.jpg", jpeg())), ("b", ("2.txt", b"no photo"))])
    answer = ask(address, "POST", "/classify?top_k=1", form.read(), form.headers["content-type"])
    first, second = answer.json()["results"]
    assert (first["file"], len(first["top_k"]), second["file"], second["status"]) == ("1.jpg", 1, "2.txt", 415)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/classify", b"no photo", 415),
        ("POST", "/classify", jpeg()[:200], 422),
        ("POST", "/classify?top_k=0", jpeg(), 400),
        ("GET", "/classify", b"", 405),
        ("GET", "/nowhere", b"", 404),
    ],
)
def test_what_is_wrong_is_told_in_words(address: str, method: str, path: str, body: bytes, status: int) -> None:
    answer = ask(address, method, path, body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "remedy"}


def test_what_is_too_large_is_refused_and_the_next_one_answered(address: str) -> None:
    limit = ask(address, "GET", "/model").json()["limits"]["max_megabytes"]
    assert ask(address, "POST", "/classify", b"\0" * int((limit + 0.05) * 2**20)).status_code == 413
    assert ask(address, "POST", "/classify", b"\0" * int(6.5 * 2**20)).status_code == 413
    assert ask(address, "GET", "/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("name", ["page.css", "page.js", "icon.svg"])
def test_the_files_of_the_page_are_those_of_here(address: str, name: str) -> None:
    answer = ask(address, "GET", f"/{name}")
    assert answer.content == (PAGE / name).read_bytes()
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_invoke_asks_it(address: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    told = invoke(address, tmp_path / "a.jpg", times=3, sign=SIGN)
    assert len(told.later_ms) == 2
    assert told.lines()
    (tmp_path / "b.jpg").write_bytes(b"no photo")
    with pytest.raises(RequestError, match="answered 415"):
        invoke(address, tmp_path / "b.jpg", sign=SIGN)


def test_the_api_is_told(address: str) -> None:
    document = ask(address, "GET", "/openapi.json").json()
    assert "/classify" in document["paths"]
    assert f"{address.partition('://')[2]}/classify" in ask(address, "GET", "/docs").text


@pytest.mark.browser
@pytest.mark.skipif(SIGN, reason="browsers do not sign")
def test_the_page_asks_it_and_makes_what_is_too_large_smaller(address: str, browser: Browser, tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((2600, 2600), 100).convert("RGB").save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size > 4.5 * 2**20
    (tmp_path / "red.jpg").write_bytes(jpeg("red"))
    with context_of(browser, **PHONE) as context:
        page = context.new_page()
        page.goto(address)
        if key := os.environ.get("FLEDGED_API_KEY"):
            page.get_by_label("API key").fill(key)
            page.keyboard.press("Enter")
        expect(page.locator("#facts")).to_be_visible()
        page.locator("#photos").set_input_files([tmp_path / "red.jpg", tmp_path / "large.png"])
        expect(page.locator(".card.answered")).to_have_count(2, timeout=60_000)
        expect(page.locator(".card", has_text="large.png").locator(".smaller")).to_contain_text("4.4 MB")
