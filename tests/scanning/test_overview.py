"""The page of a lake, read as text and opened in a real browser."""

from __future__ import annotations

import base64
import html as htmllib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image
from playwright.sync_api import Browser, expect

from demo.drawing import CLASSES, Planted, draw_photo
from fledged.products import Snapshot
from fledged.scanning import samples
from fledged.scanning.overview import steps
from fledged.scanning.scan import scan
from tests.browsing import barriers, open_file, until

HOSTILE = (
    "</script><script>window.pwned=1</script>.jpg",
    '"><img src=x onerror="window.pwned=2">.jpg',
    "a\u202egpj.jpg",
)
HOSTILE_CLASS = "<b onclick='x'>&{% raw %}"


def fill(lake: Path) -> None:
    """Hostile names, a photo with a place, one stored turned, a wrong extension, an unreadable one, and origins."""
    (lake / HOSTILE_CLASS).mkdir(parents=True)
    for seed, name in enumerate(HOSTILE):
        photo = draw_photo(CLASSES[0], seed, (96, 72))
        photo.save(lake / HOSTILE_CLASS / name.replace("/", "∕"), "JPEG")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "<i>Camera", 6
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (52.0, 31.0, 12.0)
    (lake / "owl").mkdir()
    draw_photo(CLASSES[1], 9, (200, 100)).save(lake / "owl" / "placed.jpg", exif=exif, comment=b"SECRET")
    draw_photo(CLASSES[1], 10, (96, 96)).save(lake / "owl" / "really a PNG.jpg", "PNG")
    (lake / "owl" / "broken.jpg").write_bytes(b"\xff\xd8\xff half a photo")
    (lake / "owl" / "<notes>.txt").write_text("hello")
    line = {"path": "owl/placed.jpg", "source_url": "https://owls.example/1.jpg", "query": "<u>owl", "engine": "bing"}
    line["fetched_at"] = "2026-11-20T23:59:59Z"
    also = {"path": "owl/really a PNG.jpg", "content_type": "image/<b>", "fetched_at": "2026-11-21T00:00:01Z"}
    (lake / "provenance.jsonl").write_text(json.dumps(line) + "\n" + json.dumps(also) + "\n")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    root = tmp_path_factory.mktemp("overview")
    lake = root / "my <lake>"
    fill(lake)
    (lake / "owl" / "old.jpg").write_bytes((lake / "owl" / "placed.jpg").read_bytes() + b"old")
    scan(lake, work=root / "work")
    (lake / "owl" / "old.jpg").unlink()
    return scan(lake, work=root / "work")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Thirty classes with two photos each."""
    root = tmp_path_factory.mktemp("many")
    for n in range(30):
        (root / "lake" / f"class {n:02}").mkdir(parents=True)
        for copy in range(2):
            photo = draw_photo(CLASSES[n % 4], 7 * n + copy, (40 + n, 90 - n // 2))
            photo.save(root / "lake" / f"class {n:02}" / f"{copy}.jpg")
    return scan(root / "lake", work=root / "work")


def html_of(snapshot: Snapshot) -> str:
    return (snapshot.folder / "overview.html").read_text()


def text_of(snapshot: Snapshot) -> str:
    page = re.sub(r"<(script|style).*?</\1>", "", html_of(snapshot), flags=re.DOTALL)
    return " ".join(htmllib.unescape(re.sub(r"<[^>]+>", " ", page)).split())


class Read(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.addresses += [str(named[name]) for name in ("src", "href", "srcset", "action", "data") if name in named]


def test_the_page_tells_what_is_in_the_lake(snapshot: Snapshot) -> None:
    text = text_of(snapshot)
    for words in (
        "What is in my <lake>?",
        "6 photos In 2 classes,",
        "1 cannot be read ; every figure below is of the 5 that can.",
        "1 more file is no photo . 1 photo has the extension of another format. 1 photo tells where it was taken.",
        "The largest class has 1.5 times the photos of the smallest.",
        ".jpg 6 JPEG 4, PNG 1, unreadable 1",
        "owl/really a PNG.jpg PNG",
        "Known of 2 of 6 photos (33.3%). 2 photos were fetched from 2026-11-20 to 2026-11-21.",
        "owls.example 1 Found by bing 1 Search <u>owl 1 Content type, as served image/<b> 1",
        "1 photo is stored turned or mirrored (EXIF orientation 6: 1)",
        "owl/broken.jpg damaged: its header cannot be read",
        "owl/<notes>.txt not a photo (.txt)",
        "<i>Camera 1",
        "removed 1",
        "1 kB is 1,000 bytes",
        "fledged review --drop-cluster shape:",
    ):
        assert words in text, words


def test_names_inject_nothing(snapshot: Snapshot) -> None:
    html = html_of(snapshot)
    page = Read()
    page.feed(html)
    assert page.tags.count("script") == 2
    assert not {"iframe", "object", "form", "i>camera", "u"} & set(page.tags)
    assert "<b onclick" not in html
    assert "<img src=x" not in html
    assert "window.pwned=1</script>" not in html
    assert r"a\u202egpj.jpg" in html


def test_the_page_names_no_place_outside_of_itself(snapshot: Snapshot) -> None:
    html = html_of(snapshot)
    page = Read()
    page.feed(html)
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert str(snapshot.folder.parents[2]) not in html
    assert "default-src 'none'" in html
    assert "'unsafe-inline'; script-src 'sha256-" in html


def test_pictures_are_small_and_without_metadata(snapshot: Snapshot) -> None:
    uris = set(re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", html_of(snapshot)))
    assert len(uris) == 5
    for uri in uris:
        data = base64.b64decode(uri)
        image = Image.open(io.BytesIO(data))
        assert max(image.size) <= 96
        assert not image.getexif()
        assert b"SECRET" not in data
    turned = {Image.open(io.BytesIO(base64.b64decode(uri))).size for uri in uris}
    assert (48, 96) in turned


def test_the_same_lake_gives_the_same_page_but_for_the_date(tmp_path: Path) -> None:
    fill(tmp_path / "lake")
    pages = []
    for work in ("a", "b"):
        pages.append(re.sub(r"<time.*?</time>", "", html_of(scan(tmp_path / "lake", work=tmp_path / work))))
    assert pages[0] == pages[1]


def test_a_rescan_writes_no_page(clean_lake: Path, tmp_path: Path) -> None:
    page = scan(clean_lake, work=tmp_path).folder / "overview.html"
    before = page.stat().st_mtime_ns
    scan(clean_lake, work=tmp_path)
    assert page.stat().st_mtime_ns == before
    page.unlink()
    scan(clean_lake, work=tmp_path)
    assert page.exists()


def test_every_defect_of_a_messy_lake_has_its_place(messy_lake: tuple[Path, Planted], tmp_path: Path) -> None:
    lake, planted = messy_lake
    text = text_of(scan(lake, work=tmp_path))
    assert f"{len(planted.unreadable)} cannot be read" in text
    for path in (*planted.unreadable, *planted.wrong_extension, *planted.skipped):
        assert " ".join(path.split()) in text, path


def test_a_lake_without_a_readable_photo_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "lake" / "owl").mkdir(parents=True)
    (tmp_path / "lake" / "owl" / "1.jpg").write_bytes(b"\xff\xd8\xff")
    text = text_of(scan(tmp_path / "lake", work=tmp_path / "work"))
    assert "1 cannot be read" in text
    assert "Samples" not in text


def test_a_photo_that_vanishes_before_it_is_drawn_is_left_out(
    clean_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(clean_lake, lake)
    original = samples.choose

    def gone(*arguments: Any) -> Any:
        shutil.rmtree(lake / CLASSES[0])
        return original(*arguments)

    monkeypatch.setattr("fledged.scanning.overview.choose", gone)
    html = html_of(scan(lake, work=tmp_path / "work"))
    assert f'alt="{CLASSES[0]}/' not in html
    assert f'alt="{CLASSES[1]}/' in html


def test_many_classes_stay_a_small_page(many: Snapshot) -> None:
    html = html_of(many)
    assert html.count("<canvas") == 1
    assert html.count("<option") == 31
    assert len(html) < 1_500_000


def test_a_histogram_is_one_closed_path() -> None:
    assert steps((0, 2, 1)) == "M0,100V100h1V0h1V50h1V100Z"
    assert steps((0, 0)) == "M0,100V100h1V100h1V100Z"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_in_a_real_browser(browser: Browser, snapshot: Snapshot, width: int, dark: bool) -> None:
    page, complaints = open_file(browser, snapshot.folder / "overview.html", width=width, dark=dark)
    page.evaluate("document.querySelectorAll('main img[src]').forEach(image => { image.loading = 'eager' })")
    until(page, "[...document.images].every(image => image.complete)")
    assert page.evaluate("[...document.querySelectorAll('main img[src]')].every(image => image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.pwned") is None
    assert barriers(page, "serious", "critical") == []
    assert complaints == []
    page.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_words_of_class_names_stay_whole_and_in_their_cells(browser: Browser, tmp_path: Path, width: int) -> None:
    for label in ("large_quadcopter", "small_quadcopter", "a" * 120):
        (tmp_path / "lake" / label).mkdir(parents=True)
        draw_photo(CLASSES[1], len(label), (96, 72)).save(tmp_path / "lake" / label / "1.jpg")
    snapshot = scan(tmp_path / "lake", work=tmp_path / "work")
    page, _ = open_file(browser, snapshot.folder / "overview.html", width=width)
    heads = "[...document.querySelectorAll('.rows tbody th')]"
    assert page.evaluate(f"{heads}.filter(head => head.scrollWidth > head.clientWidth).length") == 0
    lines_of = "Math.round((head.clientHeight - 14) / parseFloat(getComputedStyle(head).lineHeight))"
    assert (
        page.evaluate(f"Math.max(...{heads}.filter(head => /_quad/.test(head.textContent)).map(head => {lines_of}))")
        <= 2
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


@pytest.mark.browser
def test_many_classes_in_a_real_browser(browser: Browser, many: Snapshot) -> None:
    page, complaints = open_file(browser, many.folder / "overview.html", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    drawn = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.get_by_label("Class of the chart").select_option(label="class 07")
    assert page.evaluate("document.querySelector('canvas').toDataURL()") != drawn
    assert barriers(page, "serious", "critical") == []
    assert complaints == []
    page.context.close()


@pytest.mark.browser
def test_pointing_at_a_dot_shows_its_photo(browser: Browser, snapshot: Snapshot) -> None:
    page, complaints = open_file(browser, snapshot.folder / "overview.html")
    chart = page.locator(".scatter").filter(has_text="owl")
    canvas, tip = chart.locator("canvas"), chart.locator(".tip")
    assert tip.is_hidden()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    # The turned photo is 100 x 200 px: its place follows from the axis that the page was given.
    low, high = page.evaluate("[data.low, data.high]")
    across, up = page.evaluate("[Math.log(100), Math.log(200)]")
    x = box["x"] + (across - low) / (high - low) * box["width"]
    y = box["y"] + (1 - (up - low) / (high - low)) * box["height"]
    page.mouse.move(x + 2, y + 2)
    assert tip.is_visible()
    assert tip.locator("b").text_content() == "owl/placed.jpg"
    assert "100 × 200 px" in (tip.locator("span").text_content() or "")
    image = tip.locator("img")
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()
    assert complaints == []
    page.context.close()


@pytest.mark.browser
def test_the_keyboard_goes_through_the_photos(browser: Browser, snapshot: Snapshot) -> None:
    page, _ = open_file(browser, snapshot.folder / "overview.html")
    chart = page.locator(".scatter").filter(has_text="owl")
    chart.locator("canvas").focus()
    for name in ["owl/really a PNG.jpg", "owl/placed.jpg", "owl/really a PNG.jpg"]:
        page.keyboard.press("ArrowRight")
        expect(chart.locator(".tip b")).to_have_text(name)
    page.keyboard.press("Escape")
    expect(chart.locator(".tip")).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    expect(chart.locator(".tip b")).to_have_text("owl/placed.jpg")
    page.context.close()


@pytest.mark.browser
def test_it_prints_light_even_in_the_dark(browser: Browser, snapshot: Snapshot) -> None:
    page, _ = open_file(browser, snapshot.folder / "overview.html", dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf()) > 10_000
    page.context.close()
