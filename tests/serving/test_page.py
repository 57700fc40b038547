"""The page in a real browser, against a real server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from fledged.predicting.predictor import load
from tests.browsing import DESKTOP, PHONE, barriers, context_of
from tests.bundles import make_tiny_bundle
from tests.serving.conftest import serving
from tests.serving.photos import encoded, jpeg, picture

EVIL = "<img src=x onerror=alert(1)>"

pytestmark = pytest.mark.browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with context_of(browser, **DESKTOP, permissions=["camera", "clipboard-write", "clipboard-read"]) as opened:
        yield opened


@pytest.fixture
def page(context: BrowserContext, url: str) -> Page:
    return _opened(context, url)


def _opened(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#facts")).to_be_visible()
    return page


def _file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def _hand_over(page: Page, event: str, target: str, name: str, data: bytes) -> None:
    """Fire a drop or a paste that carries a file, as the browser does."""
    page.evaluate(
        """([event, target, name, text]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], name));
            const made = event === "paste"
                ? new ClipboardEvent("paste", { clipboardData: carried, bubbles: true })
                : new DragEvent(event, { dataTransfer: carried, bubbles: true, cancelable: true });
            document.querySelector(target).dispatchEvent(made);
        }""",
        [event, target, name, base64.b64encode(data).decode()],
    )


def _expect_answer(page: Page, label: str) -> None:
    card = page.locator(".card").first
    expect(card.locator(".label")).to_have_text(label)
    expect(card.locator(".bars li")).to_have_count(3)
    expect(card.locator(".bars .name").first).to_have_text(label)


def test_it_introduces_the_model(page: Page, url: str) -> None:
    expect(page.locator("h1")).to_have_text("Red, green or blue?")
    expect(page).to_have_title("Red, green or blue? · fledged")
    expect(page.locator("#bundle-id")).to_have_text("c010c4ed0001")
    expect(page.locator("#accuracy")).to_have_text("97.7%")
    expect(page.locator("#interval")).to_contain_text("442 photos")
    expect(page.locator("#interval")).to_contain_text("between 96.1% and 98.7%")
    expect(page.locator("#classes li")).to_have_text(["red", "green", "blue"])


def test_choose_a_photo(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose photos").click()
    chooser.value.set_files([_file("a red one.jpg", jpeg("red"))])
    _expect_answer(page, "red")
    card = page.locator(".card")
    expect(card.locator("img")).to_be_visible()
    expect(card.locator(".file")).to_have_text("a red one.jpg")
    expect(card.locator(".time")).to_contain_text("ms")
    expect(card.locator(".confidence")).to_contain_text("%")
    expect(page.locator("#status")).to_contain_text("a red one.jpg: red")
    assert card.locator(".time").evaluate("time => time.scrollWidth <= time.clientWidth")  # nothing of it is cut
    page.wait_for_timeout(900)  # the bars have grown
    tracks = [track.bounding_box() for track in card.locator(".track").all()]
    fills = [fill.bounding_box() for fill in card.locator(".fill").all()]
    seen = [fill["x"] + fill["width"] - track["x"] for fill, track in zip(fills, tracks, strict=True) if fill and track]
    assert seen[0] > 0.9 * (tracks[0] or {"width": 0})["width"]
    assert seen[0] > seen[1] >= seen[2] >= -0.5


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_reaches_the_chooser(page: Page, key: str) -> None:
    page.on("filechooser", lambda _: None)  # from now on choosers are caught before they open
    page.keyboard.press("Tab")
    expect(page.locator("#photos")).to_be_focused()
    with page.expect_file_chooser():
        page.keyboard.press(key)


def test_drop_a_photo(page: Page) -> None:
    _hand_over(page, "dragover", "#drop", "a.jpg", jpeg())
    expect(page.locator("#drop")).to_have_class("drop over")
    _hand_over(page, "drop", "#drop", "a green one.jpg", jpeg("green"))
    _expect_answer(page, "green")
    expect(page.locator("#drop")).to_have_class("drop")


def test_paste_a_photo(page: Page) -> None:
    _hand_over(page, "paste", "body", "image.png", encoded(picture("blue"), "PNG"))
    _expect_answer(page, "blue")


def test_photograph_something(page: Page) -> None:
    page.get_by_role("button", name="Use the camera").click()
    shoot = page.get_by_role("button", name="Take the photo")
    expect(shoot).to_be_visible()
    while page.locator(".card").count() == 0 and shoot.is_visible():
        shoot.click()  # does nothing until the camera delivers
        page.wait_for_timeout(100)
    expect(page.locator(".card.answered .file")).to_have_text("camera.jpg")
    expect(shoot).to_be_hidden()
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_several_photos_and_bad_ones_among_them(page: Page, tmp_path: Path) -> None:
    files = {
        "1.jpg": jpeg("red"),
        "notes.txt": b"Dear diary",
        "cut.jpg": jpeg("red", (300, 300))[:-3000],
        "phone.heic": encoded(picture("green"), "HEIF"),
        "empty.jpg": b"",
        "huge.jpg": b"\xff" * (21 * 2**20),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    page.locator("#photos").set_input_files([tmp_path / name for name in files])
    expect(page.locator(".card.waiting")).to_have_count(0)
    expect(page.locator(".card .file")).to_have_text(list(files))
    expect(page.locator(".card.answered")).to_have_count(2)
    problems = page.locator(".card.failed .label")
    expect(problems).to_contain_text(["not a photo", "truncated", "empty", "over the limit of 20 MB"])
    expect(page.locator(".card.failed .note")).to_have_count(4)
    expect(page.locator("#summary")).to_have_text("2 answered · 4 could not be read")
    heic = page.locator(".card", has_text="phone.heic")
    expect(heic.locator(".label")).to_have_text("green")
    expect(heic.locator(".no-preview")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#results")).to_be_hidden()


@pytest.mark.parametrize("device", [DESKTOP, PHONE])
def test_a_photo_of_none_of_the_classes_is_unknown(browser: Browser, tmp_path: Path, device: dict[str, Any]) -> None:
    predictor = load(make_tiny_bundle(tmp_path, knows_limits=True))
    with serving(predictor) as url, context_of(browser, **device) as context:
        page = _opened(context, url)
        expect(page.locator("#refusals")).to_contain_text("is answered “unknown”; so are about 5.0%")
        grey = encoded(Image.new("RGB", (40, 30), "grey"), "PNG")
        page.locator("#photos").set_input_files([_file("grey.png", grey), _file("red.jpg", jpeg("red"))])
        expect(page.locator(".card.answered")).to_have_count(2)
        refused = page.locator(".card", has_text="grey.png")
        expect(refused.locator(".label")).to_have_text("Unknown")
        expect(refused.locator(".confidence")).to_be_empty()
        expect(refused.locator(".note")).to_contain_text("none of its classes")
        expect(refused.locator(".bars li")).to_have_count(3)
        expect(page.locator(".card", has_text="red.jpg").locator(".label")).to_have_text("red")
        assert barriers(page) == []


def test_an_older_bundle_says_that_it_always_picks_a_class(page: Page) -> None:
    expect(page.locator("#refusals")).to_contain_text("always picks one of its classes")


def test_a_server_that_is_gone_is_told(context: BrowserContext, page: Page) -> None:
    context.set_offline(True)
    page.locator("#photos").set_input_files([_file("a.jpg", jpeg())])
    expect(page.locator(".card.failed .label")).to_have_text("The server did not answer")


def test_the_curl_line_can_be_copied(page: Page, url: str) -> None:
    page.get_by_text("Ask from your own program").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"curl -F file=@photo.jpg {url}/classify"


def test_the_page_leads_to_that_of_the_api(page: Page) -> None:
    page.get_by_text("Ask from your own program").click()
    page.get_by_role("link", name="the API").click()
    expect(page.locator("h1")).to_have_text("The API")


def test_names_are_never_markup(context: BrowserContext, tmp_path: Path) -> None:
    predictor = load(make_tiny_bundle(tmp_path, (EVIL, "</script><script>alert(2)</script>", "x" * 300, *"abcdefgh")))
    with serving(predictor) as url:
        page = _opened(context, url)
        page.locator("#photos").set_input_files([_file(f"{EVIL}.jpg", jpeg("red"))])
        expect(page.locator(".card .label")).to_have_text(EVIL)
        expect(page.locator(".card .file")).to_have_text(f"{EVIL}.jpg")
        expect(page.locator("#classes li").first).to_have_text(EVIL)
        assert page.locator("[onerror], [src=x]").count() == 0
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nothing_is_asked_of_other_hosts_and_nothing_is_blocked(context: BrowserContext, url: str) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("console", lambda message: complaints.append(message.text))
    page = _opened(context, url)
    page.locator("#photos").set_input_files([_file("a.jpg", jpeg())])
    _expect_answer(page, "red")
    assert asked
    assert all(address.startswith((url, f"blob:{url}")) for address in asked)
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_is_accessible_and_fits(
    browser: Browser, url: str, scheme: Literal["light", "dark"], device: dict[str, Any]
) -> None:
    with context_of(browser, **device, color_scheme=scheme) as context:
        page = _opened(context, url)
        page.locator("#photos").set_input_files([_file("a.jpg", jpeg()), _file("b.txt", b"no photo")])
        expect(page.locator(".card.waiting")).to_have_count(0)
        page.get_by_text("Ask from your own program").click()
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(247, 248, 245)", "dark": "rgb(14, 19, 17)"}[scheme]
