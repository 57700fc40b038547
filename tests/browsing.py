"""A real chromium for the tests of pages, and contexts that tell what a page should not have done."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, closed at the end; where there is none the test is skipped."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def context_of(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A context, without motion, none of whose pages may raise or open a dialog.

    What they did is told at the end: an exception in a listener would break the connection to the browser.
    """
    told: list[str] = []
    with browser.new_context(**{"reduced_motion": "reduce", **options}) as context:
        context.on("weberror", lambda raised: told.append(f"the page raised {raised.error}"))
        context.on("dialog", lambda dialog: _dismiss(dialog, told))
        yield context
    assert told == []


def _dismiss(dialog: Dialog, told: list[str]) -> None:
    told.append(f"a script ran: {dialog.message}")
    dialog.dismiss()


def open_file(browser: Browser, file: Path, *, width: int = 1280, dark: bool = False) -> tuple[Page, list[str]]:
    """A page that lies in a file, offline, with all that it asked for or complained about."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", offline=True
    )
    page, complaints, url = context.new_page(), list[str](), file.resolve().as_uri()
    page.on("request", lambda r: complaints.append(r.url) if r.url != url and not r.url.startswith("data:") else None)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: _dismiss(dialog, complaints))
    page.goto(url)
    return page, complaints


def until(page: Page, expression: str, timeout_s: float = 30) -> None:
    """Wait for the JavaScript to be true. Playwright's own waiting needs `eval`, which our pages forbid."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(20)


def barriers(page: Page, *impacts: str) -> list[tuple[str, list[str]]]:
    """What axe-core finds inaccessible, of these impacts (all without any): the rule and the elements."""
    found = Axe().run(page)["violations"]
    return [
        (rule["id"], [node["html"] for node in rule["nodes"]])
        for rule in found
        if not impacts or rule["impact"] in impacts
    ]
