"""What can be done with an answer on the page: heatmap, the call as curl, feedback, smaller copies, a key."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, Request, Route, expect

from fledged.feedback import read_feedback
from fledged.predicting.predictor import Predictor, load
from tests.browsing import DESKTOP, PHONE, barriers, context_of
from tests.bundles import make_tiny_bundle
from tests.serving.conftest import serving
from tests.serving.photos import GREY, encoded, jpeg, picture

EVIL = "<img src=x onerror=alert(1)>"
HOT_LEFT = [[1.0, 0.0, 0.0, 0.0]] * 4

pytestmark = pytest.mark.browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with context_of(browser, **DESKTOP, permissions=["clipboard-write", "clipboard-read"]) as opened:
        yield opened


def opened(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#facts")).to_be_visible()
    return page


def ask(page: Page, *photos: tuple[str, bytes]) -> None:
    files: list[FilePayload] = [
        {"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in photos
    ]
    page.locator("#photos").set_input_files(files)
    expect(page.locator(".card.waiting")).to_have_count(0)


def with_heatmaps(context: BrowserContext, heatmap: object, **preprocess: object) -> None:
    """The model and its answers as those of a bundle that explains itself."""

    def model(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["preprocess"] |= preprocess
        route.fulfill(response=answer, json=told | {"heatmap_cells": 4})

    context.route("**/model", model)
    context.route(re.compile(r"/classify\?explain=1$"), lambda route: route.fulfill(json={"heatmap": heatmap}))


def pixel(page: Page, x: float, y: float) -> list[int]:
    """Red, green, blue and cover of the overlay, at shares of its width and height."""
    colour: list[int] = page.locator(".heat").evaluate(
        """(canvas, [x, y]) => [...canvas.getContext("2d")
            .getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data]""",
        [x, y],
    )
    return colour


def test_a_heatmap_lies_where_the_network_looked(context: BrowserContext, url: str) -> None:
    with_heatmaps(context, HOT_LEFT, resize="crop", crop_fraction=1.0)
    page = opened(context, url)
    ask(page, ("wide.jpg", jpeg("green", (400, 200))))
    look = page.get_by_role("button", name="Where it looked")
    look.focus()
    page.keyboard.press("Enter")
    expect(look).to_have_attribute("aria-pressed", "true")
    # The square in the middle is what the network sees: of 400 by 200 the pixels from 100 to 300.
    hot, cold, unseen = pixel(page, 0.3, 0.5), pixel(page, 0.7, 0.5), pixel(page, 0.1, 0.5)
    assert hot[0] > 200
    assert hot[1] < 120
    assert hot[3] > 150
    assert cold[3] < 10
    assert unseen[:3] == [0, 0, 0]
    assert unseen[3] > 120
    box, photo = page.locator(".heat").bounding_box(), page.locator(".card img").bounding_box()
    assert box == photo
    page.get_by_label("Strength").fill("0.3")
    expect(page.locator(".heat")).to_have_css("opacity", "0.3")
    look.click()
    expect(page.locator(".heat")).to_be_hidden()
    expect(look).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_it_fits_the_other_ways_of_resizing(context: BrowserContext, url: str, resize: str) -> None:
    with_heatmaps(context, HOT_LEFT, resize=resize)
    page = opened(context, url)
    ask(page, ("wide.jpg", jpeg("green", (400, 200))))
    page.get_by_role("button", name="Where it looked").click()
    expect(page.locator(".heat")).to_be_visible()
    assert pixel(page, 0.05, 0.5)[3] > 150
    assert pixel(page, 0.95, 0.5)[3] < 10  # seen, and cold


@pytest.mark.parametrize("sent", [None, [[]]])
def test_an_answer_without_a_heatmap_is_told(context: BrowserContext, url: str, sent: object) -> None:
    with_heatmaps(context, sent)
    page = opened(context, url)
    ask(page, ("a.jpg", jpeg()))
    page.get_by_role("button", name="Where it looked").click()
    expect(page.locator(".look-problem")).to_contain_text("no heatmap")
    expect(page.locator(".heat")).to_be_hidden()


def test_without_heatmaps_and_feedback_neither_is_offered(context: BrowserContext, url: str) -> None:
    page = opened(context, url)
    ask(page, ("a.jpg", jpeg()))
    expect(page.get_by_role("button", name="As curl")).to_be_visible()
    expect(page.get_by_role("button", name="Where it looked")).to_be_hidden()
    expect(page.get_by_role("button", name="This is wrong")).to_be_hidden()


def test_the_call_is_told_as_curl_and_quoted(context: BrowserContext, url: str) -> None:
    names = ["a.jpg", "two words.jpg", "it's $(id) `id`.jpg", 'a";type=x,\\b.jpg', "-x\nrm.jpg", EVIL, "фото.jpg"]
    page = opened(context, url)
    ask(page, *((name, jpeg()) for name in names))
    for name, card in zip(names, page.locator(".card").all(), strict=True):
        card.get_by_role("button", name="As curl").click()
        card.get_by_role("button", name="Copy").click()
        expect(card.locator(".copy")).to_have_text("Copied")
        words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
        assert words == ["curl", "-F", words[2], f"{url}/classify"]
        said = name.replace("\n", "?").replace("\\", "\\\\").replace('"', '\\"')
        assert words[2] == (f"file=@{name}" if name == "a.jpg" else f'file=@"{said}"')
    assert page.locator("[onerror]").count() == 0


def test_feedback_by_keyboard_reaches_the_log(context: BrowserContext, predictor: Predictor, tmp_path: Path) -> None:
    with serving(predictor, feedback={"folder": str(tmp_path)}) as url:
        page = opened(context, url)
        expect(page.locator("footer")).to_contain_text("only those that you say it got wrong")
        ask(page, ("a.jpg", jpeg("red")))
        page.get_by_role("button", name="This is wrong").focus()
        page.keyboard.press("Enter")
        select = page.get_by_label("What is it?")
        expect(select.locator("option")).to_have_text(["Choose…", "green", "blue", "None of these"])
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".wrong-problem")).to_have_text("Choose what it is first.")
        expect(select).to_be_focused()
        page.keyboard.press("b")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator(".thanks")).to_have_text("You said: blue. Thank you, a person will look at it.")
        expect(page.locator(".thanks")).to_be_focused()
        expect(page.locator(".wrong-panel")).to_be_hidden()
        assert [(line.said, line.answered) for line in read_feedback(tmp_path)] == [("blue", "red")]
        assert next((tmp_path / "photos").iterdir()).read_bytes() == jpeg("red")


def test_a_refusal_of_feedback_is_told(context: BrowserContext, predictor: Predictor, tmp_path: Path) -> None:
    with serving(predictor, feedback={"folder": str(tmp_path), "max_megabytes": 0.0001}) as url:
        page = opened(context, url)
        ask(page, ("a.jpg", jpeg("red")))
        page.get_by_role("button", name="This is wrong").click()
        page.get_by_label("What is it?").select_option("None of these")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".wrong-problem")).to_contain_text("keeps no more feedback")
        context.set_offline(True)
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".wrong-problem")).to_contain_text("did not answer")


def test_a_photo_over_the_limit_is_made_smaller_and_said_so(context: BrowserContext, predictor: Predictor) -> None:
    noise = Image.effect_noise((1500, 1000), 90).convert("L")
    large = encoded(Image.merge("RGB", (noise, Image.new("L", noise.size, 40), Image.new("L", noise.size, 40))), "PNG")
    assert len(large) > 2**20
    sent: list[int] = []
    context.on("request", lambda request: sent.append(_body_bytes(request)))
    with serving(predictor, max_megabytes=0.5) as url:
        page = opened(context, url)
        ask(
            page,
            ("large.png", large),
            ("fits.jpg", jpeg("green")),
            ("large.heic", b"\0\0\0\x18ftypheic" + bytes(2**21)),
        )
        card = page.locator(".card", has_text="large.png")
        expect(card.locator(".label")).to_have_text("red")
        expect(card.locator(".smaller")).to_contain_text("from 1500 × 1000 to")
        expect(page.locator(".card", has_text="fits.jpg").locator(".smaller")).to_be_hidden()
        heic = page.locator(".card.failed")  # which this browser cannot decode
        expect(heic.locator(".label")).to_contain_text("over the limit of 0.5 MB")
    assert max(sent) <= 2**19


def _body_bytes(request: Request) -> int:
    return int(request.all_headers().get("content-length", "0")) if request.method == "POST" else 0


@pytest.mark.parametrize("n_refusals", [2, 99])
def test_a_busy_server_is_asked_again(context: BrowserContext, url: str, n_refusals: int) -> None:
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > n_refusals:
            route.continue_()
        else:
            answer = {"error": "More photos are waiting", "remedy": "Try again in a second."}
            route.fulfill(status=429, json=answer, headers={"Retry-After": "0.02"})

    context.route(re.compile("/classify$"), busy)
    page = opened(context, url)
    ask(page, ("a.jpg", jpeg("red")))
    expect(page.locator(".card .label")).to_have_text("red" if n_refusals == 2 else "More photos are waiting")
    assert len(asked) == (3 if n_refusals == 2 else 5)


def test_a_server_that_wants_a_key_is_given_one(context: BrowserContext, url: str) -> None:
    given: list[str] = []

    def guard(route: Route) -> None:
        key = route.request.headers.get("authorization", "")
        given.append(key)
        if key == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "This needs an API key", "remedy": ""})

    context.route(re.compile("/(model|classify)$"), guard)
    page = context.new_page()
    page.goto(url)
    field = page.get_by_label("API key")
    field.fill("wrong")
    field.press("Enter")
    expect(page.locator("#key-problem")).to_be_visible()
    assert barriers(page) == []
    field.fill("right")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#facts")).to_be_visible()
    ask(page, ("a.jpg", jpeg("red")), ("b.jpg", jpeg("blue")))
    expect(page.locator(".card.answered")).to_have_count(2)
    page.get_by_role("button", name="As curl").first.click()
    expect(page.locator(".command").first).to_contain_text('-H "Authorization: Bearer $KEY"')
    assert given == ["", "Bearer wrong", *["Bearer right"] * 3]
    page.reload()
    expect(page.locator("#facts")).to_be_visible()  # it is kept for this tab


def test_whoever_has_no_key_is_told(context: BrowserContext, url: str) -> None:
    refusal = {"error": "This needs an API key", "remedy": "Ask for one."}
    context.route(re.compile("/(model|classify)$"), lambda route: route.fulfill(status=401, json=refusal))
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#no-model")).to_contain_text("asks for a key")
    photo: FilePayload = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    page.locator("#photos").set_input_files([photo])
    expect(page.get_by_label("API key")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".card.failed .label")).to_have_text("This needs an API key")


@pytest.mark.parametrize(("device", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_all_tools_are_accessible_fit_and_take_names_as_text(
    browser: Browser, tmp_path: Path, device: dict[str, Any], scheme: Literal["light", "dark"]
) -> None:
    classes = (EVIL, "</script><script>alert(2)</script>", "x" * 300, "unknown-ish")
    predictor = load(make_tiny_bundle(tmp_path, classes, knows_limits=True))
    complaints: list[str] = []
    with (
        serving(predictor, feedback={"folder": str(tmp_path / "feedback")}) as url,
        context_of(browser, **device, color_scheme=scheme) as context,
    ):
        context.on("console", lambda message: complaints.append(message.text))
        with_heatmaps(context, HOT_LEFT)
        page = opened(context, url)
        ask(page, (f"{EVIL}.jpg", jpeg("red")), ("x" * 200 + ".jpg", jpeg("blue")), ("grey.png", GREY))
        for name in ("Where it looked", "As curl", "This is wrong"):
            for button in page.get_by_role("button", name=name).all():
                button.click()
        expect(page.locator(".heat:visible")).to_have_count(3)
        expect(page.locator(".truth").first.locator("option").nth(1)).to_have_text(classes[1])
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
        assert page.locator("[onerror], [src=x], main script").count() == 0
        page.locator(".truth").first.select_option(classes[2])
        page.get_by_role("button", name="Send").first.click()
        expect(page.locator(".thanks").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
        assert [line.said for line in read_feedback(tmp_path / "feedback")] == [classes[2]]
    assert complaints == []


def test_a_photo_that_the_browser_cannot_show_has_no_overlay(context: BrowserContext, url: str) -> None:
    with_heatmaps(context, HOT_LEFT)
    page = opened(context, url)
    ask(page, ("phone.heic", encoded(picture("green"), "HEIF")))
    expect(page.locator(".no-preview")).to_be_visible()
    expect(page.get_by_role("button", name="Where it looked")).to_be_hidden()
