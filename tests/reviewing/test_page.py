"""The desk in a real browser, against a real server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any, Literal

import polars as pl
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from fledged.reviewing.decisions import read_decisions
from fledged.workspace import Workspace
from fledged.writing import write_table
from tests.browsing import DESKTOP, PHONE, barriers, context_of, until
from tests.reviewing.conftest import BIRD, COPTER, DRONE, TOKEN, Place, Row, hashes, make_review, review_of, serving

pytestmark = pytest.mark.browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with context_of(browser, **DESKTOP) as opened:
        yield opened


@pytest.fixture
def page(context: BrowserContext, url: str) -> Page:
    return opened(context, url)


def opened(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}/?token={TOKEN}")
    expect(page.locator("#queue:visible, #gallery:visible")).to_be_visible()
    return page


def press(page: Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("All saved")


def decided(place: Place) -> dict[str, str]:
    rows = read_decisions(place.log).select("path", "action", "label").rows()
    return {path: label or action for path, action, label in rows}


def at(page: Page, position: int, title: str) -> None:
    expect(page.locator("#position")).to_have_text(f"{position} of 7")
    expect(page.locator("#title")).to_have_text(title)


def shown(picture: Locator) -> bool:
    return bool(picture.evaluate("image => image.complete && image.naturalWidth > 0"))


def test_the_keyboard_alone_gets_through(page: Page, place: Place) -> None:
    before = hashes(place.lake)
    at(page, 1, "Cannot be read")
    expect(page.locator(".sheet .blank")).to_contain_text("truncated")
    press(page, "d")
    at(page, 2, "The same file twice")
    press(page, "ArrowRight ArrowRight ArrowRight ArrowLeft")  # only looks
    at(page, 4, "Probably mislabelled")
    press(page, "r Enter")  # the suggested class is on top
    at(page, 5, "Tiny")
    press(page, "k")
    at(page, 6, "Says where it was taken")
    press(page, "r 1")  # the first other class by name
    at(page, 7, "Smells odd")
    press(page, "r")
    expect(page.locator("#picker-text")).to_be_focused()
    page.keyboard.type("small")
    press(page, "Enter")
    saved(page)
    at(page, 2, "The same file twice")  # the first that is still undecided
    assert decided(place) == {
        f"{BIRD}/broken.jpg": "drop",
        f"{BIRD}/1.jpg": DRONE,
        f"{COPTER}/tiny.jpg": "keep",
        f"{DRONE}/2.jpg": BIRD,
        f"{DRONE}/3.jpg": COPTER,
    }
    expect(page.locator("#n-decided")).to_have_text("5")
    assert all(json.loads(line)["reviewer"] == "ana" for line in place.lines())
    press(page, "a 1")
    expect(page.locator("#done")).to_contain_text("fledged prepare")
    saved(page)
    assert decided(place)[f"{BIRD}/copy.jpg"] == "drop"
    assert decided(place)[f"{COPTER}/same as 5.jpg"] == "keep"
    assert decided(place)[f"{DRONE}/5.jpg"] == "drop"
    assert hashes(place.lake) == before


def test_a_choice_that_is_closed_late_does_not_close_the_next_one(page: Page) -> None:
    """Browsers tell of a closed dialog when they find the time, which may be after the next key."""
    page.evaluate("""() => {
        const late = (event) => {
            if (!event.isTrusted) return;
            event.stopImmediatePropagation();
            setTimeout(() => document.getElementById("picker").dispatchEvent(new Event("close")), 500);
        };
        document.getElementById("picker").parentElement.addEventListener("close", late, true);
    }""")
    press(page, "ArrowRight ArrowRight ArrowRight")
    at(page, 4, "Probably mislabelled")
    press(page, "r Enter")
    at(page, 5, "Tiny")
    press(page, "r")
    page.wait_for_timeout(1000)
    expect(page.locator("#picker-text")).to_be_focused()
    page.keyboard.type("small")
    press(page, "Enter")
    at(page, 6, "Says where it was taken")


def test_undo_goes_back_step_by_step(page: Page, place: Place) -> None:
    press(page, "d k")
    at(page, 3, "The same picture, two labels")
    press(page, "ArrowLeft ArrowLeft k")  # another mind about the first
    saved(page)
    assert decided(place)[f"{BIRD}/broken.jpg"] == "keep"
    press(page, "u")
    at(page, 1, "Cannot be read")
    expect(page.locator(".sheet .stamp")).to_have_text("Dropped")
    expect(page.locator("#toast-text")).to_have_text(re.compile(r"^Undone\. Dropped: "))  # what now stands
    press(page, "u")
    at(page, 2, "The same file twice")
    press(page, "u")
    at(page, 1, "Cannot be read")
    expect(page.locator("#n-decided")).to_have_text("0")
    saved(page)
    assert decided(place) == {}
    assert len(place.lines()) == 8  # a photo each; nothing was ever rewritten
    press(page, "u")
    expect(page.locator("#toast")).to_contain_text("Nothing to undo")


def test_what_was_undone_can_be_done_again_until_something_else_is_done(page: Page, place: Place) -> None:
    press(page, "d k Control+z u")
    at(page, 1, "Cannot be read")
    expect(page.locator("#n-decided")).to_have_text("0")
    page.get_by_role("button", name="Redo").click()
    at(page, 1, "Cannot be read")
    expect(page.locator(".sheet .stamp")).to_have_text("Dropped")
    press(page, "Control+Shift+z")
    at(page, 2, "The same file twice")
    saved(page)
    redone = decided(place)
    assert redone[f"{BIRD}/broken.jpg"] == "drop"
    assert list(redone.values()).count("keep") == 2
    press(page, "y")
    expect(page.locator("#toast")).to_contain_text("Nothing to redo")
    press(page, "u u k")  # another way is taken
    press(page, "y")
    expect(page.locator("#toast")).to_contain_text("Nothing to redo")
    saved(page)
    assert decided(place) == {f"{BIRD}/broken.jpg": "keep"}


def test_copies_lie_side_by_side_with_their_differences(page: Page, place: Place) -> None:
    press(page, "ArrowRight ArrowRight")
    sheets = page.locator(".sheet")
    expect(sheets).to_have_count(2)
    first, second = sheets.nth(0).bounding_box(), sheets.nth(1).bounding_box()
    assert first
    assert second
    assert first["y"] == second["y"]
    assert first["x"] + first["width"] < second["x"]
    expect(sheets.nth(0).locator(".differs dt")).to_have_text(["Label", "File"])
    expect(sheets.nth(1).locator(".best")).to_contain_text("JPEG")
    expect(sheets.nth(0).locator(".path")).to_have_text(f"{COPTER}/same as 5.jpg")
    sheets.nth(1).get_by_role("button", name="Keep only").click()
    saved(page)
    assert decided(place) == {f"{COPTER}/same as 5.jpg": "drop", f"{DRONE}/5.jpg": "keep"}
    page.locator("#toast").get_by_role("button", name="Undo").click()
    saved(page)
    assert decided(place) == {}


def test_a_mislabel_is_shown_with_photos_of_both_classes(page: Page, place: Place) -> None:
    press(page, "ArrowRight ArrowRight ArrowRight")
    expect(page.locator("#reasons")).to_contain_text(f"takes it for {DRONE}, not {BIRD} (score 0.93")
    expect(page.locator("#advised")).to_have_text(f"As advised: it is {DRONE}")
    expect(page.locator(".strip h2")).to_have_text([f"{BIRD} its label", f"{DRONE} suggested"])
    pictures = page.locator(".strip img")
    expect(pictures.first).to_be_visible()
    until(page, "[...document.querySelectorAll('.strip img')].filter((i) => i.naturalWidth > 0).length >= 8")
    page.locator("#acts .relabel").click()
    expect(page.locator("#picker-list li").first).to_contain_text("suggested")
    page.locator("#picker-text").fill("a new one")
    expect(page.locator("#picker-list li")).to_have_text("a new onenew class")
    press(page, "Escape")
    expect(page.locator("#picker")).to_be_hidden()
    page.locator("#acts .advised").click()
    saved(page)
    assert decided(place) == {f"{BIRD}/1.jpg": DRONE}


def test_filters_by_kind_class_and_state(page: Page) -> None:
    page.locator('[data-kind="tiny"] button').click()
    expect(page.locator("#position")).to_have_text("1 of 1")
    expect(page.locator("#title")).to_have_text("Tiny")
    press(page, "d")
    expect(page.locator("#done")).to_be_visible()
    expect(page.locator('[data-kind="tiny"] .count')).to_have_text("1/1")
    page.locator("#show-all").click()
    page.locator("#of-state").select_option("decided")
    expect(page.locator("#position")).to_have_text("1 of 1")
    page.locator("#of-state").select_option("undecided")
    expect(page.locator("#position")).to_have_text("1 of 6")
    page.locator("#of-class").select_option(DRONE)
    expect(page.locator("#position")).to_have_text("1 of 3")


def test_the_gallery_decides_about_several_at_once(page: Page, place: Place) -> None:
    press(page, "g")
    page.locator("#class").select_option(COPTER)
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(9)
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    expect(page.locator("#chosen")).to_have_text("3 selected")
    press(page, "d")
    expect(page.locator(".tile.drop")).to_have_count(3)
    saved(page)
    assert decided(place) == {f"{COPTER}/{i}.jpg": "drop" for i in range(3)}
    press(page, "ArrowRight Shift+ArrowRight r 1")
    saved(page)
    assert sorted(decided(place).values()) == ["drop", "drop", "drop", BIRD, BIRD]
    press(page, "u u")
    saved(page)
    assert decided(place) == {}
    page.locator("#class-kind").select_option("tiny")
    expect(tiles).to_have_count(1)
    expect(tiles.locator(".tile-kinds")).to_have_text("Tiny")
    page.locator("#class-kind").select_option("")
    press(page, "Tab")
    tiles.first.locator("button").focus()
    press(page, "Control+a")
    expect(page.locator("#chosen")).to_have_text("9 selected")
    press(page, "Escape")
    expect(page.locator(".tile.chosen")).to_have_count(0)


def test_two_tabs_do_not_clash(context: BrowserContext, url: str, place: Place) -> None:
    one, two = opened(context, url), opened(context, url)
    press(one, "d")
    expect(two.locator(".sheet .stamp")).to_have_text("Dropped", timeout=10_000)  # it is told of it
    expect(two.locator("#toast")).to_contain_text("ana decided about 1 photo elsewhere")
    expect(two.locator("#n-decided")).to_have_text("1")
    # A tab that has not been told decides on a state that is no more.
    two.route("**/changes*", lambda route: route.abort())
    press(two, "ArrowRight")
    at(two, 2, "The same file twice")
    press(one, "k")
    saved(one)
    lines = place.lines()
    press(two, "d")
    expect(two.locator("#notice")).to_contain_text("decided elsewhere in the meantime (Kept by ana)")
    at(two, 2, "The same file twice")
    expect(two.locator(".sheet .stamp").first).to_have_text("Kept")
    assert place.lines() == lines
    press(two, "d")  # now it knows
    saved(two)
    assert decided(place) == dict.fromkeys([f"{BIRD}/broken.jpg", f"{BIRD}/0.jpg", f"{BIRD}/copy.jpg"], "drop")


def test_quick_fingers_are_saved_in_order(page: Page, place: Place) -> None:
    def slow(route: Route) -> None:
        page.wait_for_timeout(60)
        route.continue_()

    page.route("**/decisions", slow)
    press(page, "d u k u d k k")
    saved(page)
    actions = [json.loads(line)["action"] for line in place.lines()]
    assert actions == ["drop", "undecide", "keep", "undecide", "drop", "keep", "keep", "keep", "keep"]
    assert decided(place)[f"{BIRD}/broken.jpg"] == "drop"


def test_a_server_that_stopped_is_told_and_nothing_seems_saved(
    context: BrowserContext, page: Page, place: Place
) -> None:
    context.set_offline(True)
    press(page, "d")
    expect(page.locator("#trouble")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("Not saved")
    at(page, 1, "Cannot be read")
    expect(page.locator("#n-decided")).to_have_text("0")
    press(page, "g")
    expect(page.locator("#status")).to_have_text("The photos of this class could not be fetched")
    press(page, "g")
    context.set_offline(False)
    expect(page.locator("#trouble")).to_be_hidden(timeout=15_000)
    press(page, "d")
    saved(page)
    assert len(place.lines()) == 1


def test_a_photo_that_vanished_says_so(context: BrowserContext, url: str, place: Place) -> None:
    (place.lake / COPTER / "tiny.jpg").unlink()
    page = opened(context, url)
    press(page, "ArrowRight ArrowRight ArrowRight ArrowRight")
    at(page, 5, "Tiny")
    expect(page.locator(".sheet .blank")).to_have_text("Cannot be shown: vanished since the scan")
    press(page, "d ArrowLeft")  # it can be decided about all the same
    expect(page.locator(".sheet .blank")).to_be_visible()
    expect(page.locator(".sheet .stamp")).to_have_text("Dropped")
    press(page, "u")
    expect(page.locator(".sheet .stamp")).to_have_text("")


def test_names_are_never_markup_and_digits_name_classes(context: BrowserContext, place: Place) -> None:
    evil = "<img src=x onerror=alert(1)>"
    for label in (evil, "0", "10"):
        shutil.copytree(place.lake / DRONE, place.lake / label)
    (place.lake / evil / "0.jpg").rename(place.lake / evil / f"{evil}.jpg")
    changed = make_review(
        place.work, place.lake, [(evil, f"{evil}/{evil}.jpg", None, evil + evil, 1.0, None, "relabel")]
    )
    with serving(changed, evil) as url:
        page = opened(context, url)
        expect(page.locator("#facts")).to_contain_text(f"{evil}/{evil}.jpg")
        assert page.locator("[onerror], [src=x]").count() == 0
        press(page, "r")
        page.keyboard.type("10")
        press(page, "Enter")
        saved(page)
        assert decided(changed) == {f"{evil}/{evil}.jpg": "10"}


def test_nothing_is_asked_of_other_hosts_and_nothing_is_blocked(context: BrowserContext, url: str) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("console", lambda message: complaints.append(message.text))
    page = opened(context, url)
    expect(page).to_have_url(f"{url}/#")  # the token is out of sight
    press(page, "ArrowRight")
    expect(page.locator(".sheet img").first).to_be_visible()
    until(page, "[...document.querySelectorAll('.sheet img')].every((image) => image.naturalWidth > 0)")
    assert shown(page.locator(".sheet img").first)
    press(page, "g")
    expect(page.locator(".tile").first).to_be_visible()
    assert all(address.startswith(url) for address in asked)
    assert complaints == []


def test_20000_findings_are_quick(context: BrowserContext, place: Place) -> None:
    photos = place.snapshot.photos()
    many = pl.concat([photos] * (20_000 // photos.height + 1)).head(20_000)
    many = many.with_row_index("i").with_columns(path=pl.format("{}/{}.jpg", "label", "i")).drop("i")
    workspace = Workspace(place.work)
    write_table(workspace.folder("snapshot", "facade000002") / "photos.parquet", many)
    snapshot = workspace.save(place.snapshot.model_copy(update={"id": "facade000002", "n_photos": many.height}))
    rows: list[Row] = [(f"kind {i % 12}", path, None, None, 1.0, None, "look") for i, path in enumerate(many["path"])]
    with serving(review_of(place.work, place.lake, snapshot, rows)) as url:
        page = opened(context, url)
        expect(page.locator("#n-items")).to_have_text("20,000")
        spent_ms = page.evaluate("""async () => {
            const begin = performance.now();
            for (let i = 0; i < 20; i += 1) {
                dispatchEvent(new KeyboardEvent('keydown', { key: i % 2 ? 'k' : 'ArrowRight' }));
            }
            return (performance.now() - begin) / 20;
        }""")
        expect(page.locator("#n-decided")).to_have_text("10")
        assert spent_ms < 150  # 15 ms on a quiet machine


@pytest.mark.parametrize(("device", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_it_is_accessible_and_fits(
    browser: Browser, url: str, scheme: Literal["light", "dark"], device: dict[str, Any]
) -> None:
    with context_of(browser, **device, color_scheme=scheme) as context:
        page = opened(context, url)

        def check() -> None:
            assert barriers(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]

        check()
        press(page, "d")
        check()
        press(page, "ArrowRight ArrowRight")
        check()
        press(page, "r")
        check()
        press(page, "Escape ?")
        check()
        press(page, "Escape g")
        expect(page.locator(".tile").first).to_be_visible()
        page.locator(".tile").first.click()
        check()
        page.evaluate(
            "document.querySelectorAll('.tile-name').forEach(name => name.append(' of a long name'.repeat(9)))"
        )
        check()
        assert page.evaluate(
            "[...document.querySelectorAll('.tray .act span')].every(words => words.offsetHeight < 30)"
        )


def test_a_finger_is_enough(browser: Browser, url: str, place: Place) -> None:
    with context_of(browser, **PHONE) as context:
        page = opened(context, url)
        page.locator("#acts .drop").tap()
        page.locator("#on").tap()
        page.locator("#on").tap()
        at(page, 4, "Probably mislabelled")
        page.locator("#acts .relabel").tap()
        page.locator("#picker-list li", has_text=DRONE).tap()
        at(page, 5, "Tiny")
        page.locator("#acts .undo").tap()
        at(page, 4, "Probably mislabelled")
        page.locator("#acts .advised").tap()
        expect(page.locator("#n-decided")).to_have_text("2")
        saved(page)
    assert decided(place) == {f"{BIRD}/broken.jpg": "drop", f"{BIRD}/1.jpg": DRONE}
