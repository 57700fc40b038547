from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from fledged.config import resolve
from fledged.evaluating.evaluate import Exam, exam_of, report_on
from fledged.measuring.photos import Photo
from fledged.measuring.subject import Probabilities
from fledged.pages import words
from fledged.products import Report, Run
from fledged.progress import silent
from fledged.settings.results import EvaluateConfig
from fledged.showing import album, drawings
from fledged.workspace import Workspace
from tests.browsing import barriers, open_file, until
from tests.evaluating.colours import CLASSES, draw, save_dataset, save_run, small_lake, subject_of

HOSTILE = (
    "<script>window.pwned=1</script>.jpg",
    '"><img src=x onerror="window.pwned=2">.jpg',
    "line\nbreak & \u202egpj.exe.jpg",
    "{{ 7 * 7 }}.jpg",
)
HOSTILE_CLASS = "<b onclick='x'>&{% raw %}"
FORMS = {
    "percent": words.percent,
    "count": words.count,
    "decimal": words.decimal,
    "photos": words.photos,
    "points": words.points,
    "p_value": words.p_value,
}


def make_report(root: Path, classes: tuple[str, ...] = CLASSES, **settings: object) -> Report:
    """The report of the colour classifier on a lake with hostile names, under `root`."""
    lake, workspace = root / "my <lake>", Workspace(root / "work")
    photos = small_lake(lake)
    for seed, name in enumerate(HOSTILE):
        draw(lake / "blue" / name.replace("/", "∕"), "red", seed=60 + seed)
        photos.append((f"blue/{name.replace('/', '∕')}", "blue"))
    photos.append(("green/gone.jpg", "green"))
    run = save_run(workspace, save_dataset(workspace, lake, photos, classes), classes)
    return judge(workspace, run, settings=settings)


def judge(
    workspace: Workspace,
    run: Run,
    model: Probabilities | None = None,
    exam: Exam | None = None,
    settings: dict[str, object] | None = None,
) -> Report:
    """The report of a model, by default the colour classifier, on photos, by default the run's test split."""
    subject = subject_of(run, (lambda: model) if model else None)
    exam = exam or exam_of(workspace, subject, None)
    return report_on(subject, exam, workspace, resolve(EvaluateConfig, settings or {}), silent)


def html_of(report: Report) -> str:
    return (report.folder / "report.html").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return make_report(tmp_path_factory.mktemp("page"), (*CLASSES, HOSTILE_CLASS))


class Read(HTMLParser):
    """What a page holds: (path, exact value, shown text) of each figure, tags, and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self._open: tuple[str, str] | None = None
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.addresses += [str(named[name]) for name in ("src", "href", "srcset", "action", "data") if name in named]
        if tag == "data":
            self._open = (str(named["data-figure"]), str(named["value"]))

    def handle_data(self, data: str) -> None:
        if self._open:
            self.found.append((*self._open, data))
            self._open = None


def lookup(tree: Any, path: str) -> Any:
    for step in path.split("."):
        tree = tree[int(step) if isinstance(tree, list) else step]
    return tree


def test_every_figure_is_that_of_metrics_json(report: Report) -> None:
    metrics = json.loads((report.folder / "metrics.json").read_text())
    page = Read()
    page.feed(html_of(report))
    shown = {path for path, _, _ in page.found}
    by_class = {
        f"by_class.{i}.{name}"
        for i in range(3)
        for name in ("precision", "f1", "recall.value", "recall.low", "support")
    }
    matrix = {f"confusion.{t}.{p}" for t in range(4) for p in range(4)}
    headline = {"accuracy.value", "accuracy.low", "accuracy.high", "n_photos", "n_right", "macro_f1", "baseline"}
    overall = {
        f"overall.{name}.{end}"
        for name in ("balanced_accuracy", "weighted_f1", "log_loss", "brier", "macro_auc")
        for end in ("value", "low", "high")
    }
    assert by_class | matrix | headline | overall | {"overall.top_k.1.accuracy.low", "by_class.0.auc.high"} <= shown
    for path, value, text in page.found:
        exact = lookup(metrics, path)
        assert float(value) == exact
        assert text in {form(exact) for form in FORMS.values() if not (isinstance(exact, float) and form in _WHOLE)}


_WHOLE = (words.count, words.photos)


def test_the_headline_is_in_words(report: Report) -> None:
    text = " ".join(re.sub(r"<[^>]+>", "", html_of(report)).replace("&nbsp;", " ").split())
    assert "Of 18 photos that no choice has seen, 13 were right; 95% interval 49.1% to 87.5%." in text
    assert "Most often, blue is taken for red: 4 of 9 photos (44.4%)." in text
    assert "1 photo could not be answered and is listed below" in text
    assert "green/gone.jpgvanished since the scan" in text
    assert "exact duplicate1" in text
    assert "3 epochs; the model is that of epoch 2, with 95.0% of the validation photos right." in text


def test_names_inject_nothing(report: Report) -> None:
    html = html_of(report)
    page = Read()
    page.feed(html)
    assert not {"script", "iframe", "object", "form", "b onclick"} & set(page.tags)
    assert "<b onclick" not in html
    assert "onerror=&#34;" in html
    assert "<img src=x" not in html
    assert r"line\nbreak &amp; \u202egpj.exe.jpg" in html
    assert "{{ 7 * 7 }}.jpg" in html


def test_the_page_names_no_place_outside_of_itself(report: Report) -> None:
    html = html_of(report)
    page = Read()
    page.feed(html)
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not {"url(", "@import", "@font-face"} & set(re.findall(r"url\(|@[\w-]+", html.split("</style>")[0]))
    assert str(report.folder.parents[2]) not in html
    assert "default-src 'none'" in html


def test_the_same_evaluation_gives_the_same_bytes_but_for_the_date(report: Report, tmp_path: Path) -> None:
    again = make_report(tmp_path, (*CLASSES, HOSTILE_CLASS))
    assert again.id == report.id
    undated = [re.sub(r"<time.*?</time>", "", html_of(made)) for made in (report, again)]
    assert undated[0] == undated[1]
    assert again.files.keys() == report.files.keys()
    for name in report.files.keys() - {"report.html"}:
        assert (again.folder / name).read_bytes() == (report.folder / name).read_bytes()


def captions(html: str, section: str) -> list[str]:
    """The file names in a section, in order."""
    part = html.split(f'id="{section}"')[1].split("</section>")[0]
    return re.findall(r'<span class="file"[^>]*>([^<]*)<', part)


def test_the_gallery_shows_the_most_confident_mistakes_first(report: Report, tmp_path: Path) -> None:
    wrong = report.predictions().filter(report.predictions()["label"] != report.predictions()["predicted"])
    ranked = [words.visible(path) for path in wrong.sort("confidence", descending=True)["path"]]
    everything = [_unescaped(name) for name in captions(html_of(report), "mistakes")]
    assert sorted(everything) == sorted(ranked)
    assert everything[-1] == "red/really green.jpg"  # the rarer kind of mistake comes last
    two = html_of(make_report(tmp_path, (*CLASSES, HOSTILE_CLASS), gallery=2))
    assert [_unescaped(name) for name in captions(two, "mistakes")] == [ranked[0], "red/really green.jpg"]
    assert re.search(r"2 of <data[^>]*>5</data>, of each kind the most confident;", two)


def test_right_answers_begin_with_the_least_sure_of_the_first_class(report: Report) -> None:
    assert captions(html_of(report), "right")[0] == "blue/pale.jpg"


def test_labels_in_doubt_are_mistakes_that_the_model_is_sure_of(report: Report) -> None:
    html = html_of(report)
    assert set(captions(html, "doubts")) <= set(captions(html, "mistakes"))
    assert len(captions(html, "doubts")) == 4  # all but the green one, of which the model is less sure than usual
    assert "red/really green.jpg" not in captions(html, "doubts")
    assert "each of these counts as a mistake in every figure here" in html
    assert html.count("labelled <b") == len(captions(html, "doubts"))


def test_every_cell_of_the_matrix_leads_to_its_photos(report: Report) -> None:
    html = html_of(report)
    cells = {f"#cell-{t}-{p}" for t, row in enumerate(report.confusion) for p, n in enumerate(row) if n}
    matrix = html.split('<table class="matrix')[1].split("</table>")[0]
    assert set(re.findall(r'href="(#cell-[^"]+)"', matrix)) == cells
    for cell in cells:
        t, p = map(int, cell.removeprefix("#cell-").split("-"))
        group = html.split(f'id="{cell[1:]}"')[1].split("</h3>")[0]
        assert all(str(words.breakable(report.classes[index])) in group for index in {t, p})
    html = html_of(judge_again(report, gallery=0, page={"right": 0}))
    assert "<a" not in html.split('<table class="matrix')[1].split("</table>")[0]


def judge_again(report: Report, **settings: object) -> Report:
    """The same answers with other settings of the page."""
    workspace = Workspace(report.folder.parents[1])
    return judge(workspace, workspace.load(Run), settings=settings)


def test_the_worst_confusion_is_told_with_what_would_help(report: Report) -> None:
    helps = html_of(report).split('<div class="helps">')[1].split("</div>")[0]
    assert 'against <b class="name">blue</b> taken for <b class="name">red</b>' in helps
    assert "For all 4 the model is so sure of its answer that the label may be wrong." in helps


def test_many_pictures_lie_in_a_folder_beside_the_page(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(album, "INSIDE_BYTES", 1000)
    made = judge_again(report, page={"doubts": 23})
    page = Read()
    page.feed(html_of(made))
    pictures = {address for address in page.addresses if address.endswith(".jpg")}
    assert pictures == {name for name in made.files if name.startswith("photos/")}
    assert len(pictures) == 18  # each once: the doubted ones are mistakes as well
    assert "img-src data: 'self';" in html_of(made)
    assert "img-src data:;" in html_of(report)
    assert "which must go where it goes" in html_of(made)


def test_thumbnails_are_small_jpegs_without_metadata(report: Report) -> None:
    import base64
    import io

    from PIL import Image

    uris = re.findall(r'src="data:image/jpeg;base64,([^"]+)" width="(\d+)" height="(\d+)"', html_of(report))
    assert len(uris) == 22  # 5 mistakes, 4 of them again as labels in doubt, and all 13 right answers
    for data, width, height in uris:
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.size == (int(width), int(height)) == (48, 40)
        assert not image.getexif()


def test_without_a_gallery_there_are_no_pictures(tmp_path: Path) -> None:
    html = html_of(make_report(tmp_path, gallery=0, page={"right": 0, "doubts": 0}))
    assert "<img" not in html
    assert "None is shown of" in html


def test_a_perfect_model(tmp_path: Path) -> None:
    workspace, lake = Workspace(tmp_path / "work"), tmp_path / "lake"
    photos = [(draw(lake / "red" / f"{n}.jpg", "red", n).relative_to(lake).as_posix(), "red") for n in range(3)]
    run = save_run(workspace, save_dataset(workspace, lake, photos))
    html = html_of(judge(workspace, run))
    assert "Nothing was taken for anything else." in html
    assert ">100%</data>" in html
    assert "no photos to judge on" in html


def test_a_model_that_is_always_wrong(tmp_path: Path) -> None:
    workspace, lake = Workspace(tmp_path / "work"), tmp_path / "lake"
    draw(lake / "red" / "1.jpg", "blue")
    run = save_run(workspace, save_dataset(workspace, lake, [("red/1.jpg", "red")]))
    assert "No answer was right." in html_of(judge(workspace, run))


def test_a_folder_tells_what_it_is_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    workspace, lake = Workspace(tmp_path / "work"), tmp_path / "lake"
    run = save_run(workspace, save_dataset(workspace, lake, small_lake(lake)))
    draw(tmp_path / "field <b>trip" / "red" / "1.jpg", "red")
    draw(tmp_path / "field <b>trip" / "owls" / "1.jpg", "red")
    draw(tmp_path / "field <b>trip" / "2.jpg", "red")
    exam = exam_of(workspace, subject_of(run), tmp_path / "field <b>trip")
    html = html_of(judge(workspace, run, exam=exam))
    assert 'in the folder <b class="name">field &lt;b&gt;trip</b>' in html
    assert "that no choice has seen" not in html
    assert "photos outside of any class folder (1 photo)" in html
    assert "none of its photos is in the model’s training or validation split" in html


def test_many_classes_and_many_photos_stay_a_small_page(tmp_path: Path) -> None:
    workspace, lake = Workspace(tmp_path / "work"), tmp_path / "lake"
    classes = tuple(f"class {n:02}" for n in range(40))
    file = draw(lake / classes[0] / "1.jpg", "red")
    run = save_run(workspace, save_dataset(workspace, lake, [(f"{classes[0]}/1.jpg", classes[0])], classes), classes)
    exam = exam_of(workspace, subject_of(run), None)
    sha256 = exam.photos[0].sha256
    photos = [Photo(f"{n % 40}/{n}.jpg", file, n % 40, sha256) for n in range(5000)]
    rng = np.random.default_rng(0)

    def guesses(batch_NHWC: np.ndarray[Any, Any]) -> Any:
        return rng.dirichlet(np.ones(40), len(batch_NHWC)).astype(np.float32)

    many = Exam(photos, exam.source, "many", exam.where, exam.dataset)
    made = judge(workspace, run, guesses, many, {"batch_size": 512})
    html = html_of(made)
    assert made.accuracy.n == 5000
    assert '<table class="matrix' not in html
    assert "the whole matrix of 40 classes is in metrics.json" in html
    assert len(html) < 500_000


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1.0, "100%"), (0.9742, "97.4%"), (0.99999, "> 99.9%"), (0.0001, "< 0.1%"), (0.5, "50.0%")],
)
def test_percentages_never_round_to_all_or_nothing(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_headlines() -> None:
    assert words.question(("bird", "drone")) == "Can it tell bird from drone?"
    assert words.question(("a", "b", "c")) == "Can it tell a, b and c apart?"
    assert words.question([str(n) for n in range(12)]) == "Can it tell 12 classes apart?"


def _unescaped(text: str) -> str:
    import html

    return html.unescape(text)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_in_a_real_browser(browser: Browser, report: Report, width: int, dark: bool) -> None:
    page, complaints = open_file(browser, report.folder / "report.html", width=width, dark=dark)
    page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
    until(page, "[...document.images].every(image => image.complete)")
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.pwned") is None
    assert page.title() == f"Can it tell blue, green, red and {HOSTILE_CLASS} apart? · fledged report"
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("table").count() >= 3
    assert barriers(page, "serious", "critical") == []
    assert complaints == []
    page.context.close()


@pytest.mark.browser
def test_pictures_beside_the_page_are_loaded_as_one_comes_to_them(
    browser: Browser, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album, "INSIDE_BYTES", 1000)
    made = judge_again(report, page={"doubts": 22})
    page, complaints = open_file(browser, made.folder / "report.html", width=390)
    assert page.evaluate("[...document.images].every(image => image.loading === 'lazy')")
    asked_at_first = len(set(complaints))
    page.locator("#reading").scroll_into_view_if_needed()
    page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
    until(page, "[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert asked_at_first < len(set(complaints)) == 18
    here = made.folder.as_uri()
    assert all(address.startswith(f"{here}/photos/") for address in complaints)
    page.context.close()


@pytest.mark.browser
def test_the_matrix_turns_into_shares_without_a_script(browser: Browser, report: Report) -> None:
    page, _ = open_file(browser, report.folder / "report.html")
    count, share = page.locator("td.hit data").first, page.locator("td.hit small").first
    sizes = "element => parseFloat(getComputedStyle(element).fontSize)"
    assert count.evaluate(sizes) > share.evaluate(sizes)
    page.get_by_label("Photos", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Share of the row")).to_be_checked()
    assert count.evaluate(sizes) < share.evaluate(sizes)
    page.get_by_role("link", name=re.compile("blue taken for red")).first.click()
    page.wait_for_url("**#cell-0-2")
    assert page.locator("#cell-0-2 h3").is_visible()
    page.context.close()


@pytest.mark.browser
def test_the_keyboard_reaches_the_figures(browser: Browser, report: Report) -> None:
    page, _ = open_file(browser, report.folder / "report.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the figures by class"
    page.keyboard.press("Enter")
    page.wait_for_url("**#classes")
    page.context.close()


@pytest.mark.browser
def test_photos_are_as_small_on_paper_as_on_the_screen(browser: Browser, report: Report) -> None:
    page, _ = open_file(browser, report.folder / "report.html", width=690)
    page.emulate_media(media="print")
    widths = page.evaluate("[...document.querySelectorAll('.frame')].map(frame => frame.getBoundingClientRect().width)")
    assert len(widths) >= 22
    assert max(widths) < 690 / 5
    page.context.close()


@pytest.mark.browser
def test_what_is_said_of_a_table_is_read_without_scrolling(browser: Browser, report: Report) -> None:
    page, _ = open_file(browser, report.folder / "report.html", width=390)
    wider, captions = page.evaluate(
        """[
            [...document.querySelectorAll('.scroll')].some(region => region.scrollWidth > region.clientWidth),
            [...document.querySelectorAll('.scroll caption')].map(one => one.getBoundingClientRect().right),
        ]"""
    )
    assert wider
    assert max(captions) <= 390
    page.context.close()


@pytest.mark.browser
def test_it_prints_light_even_in_the_dark(browser: Browser, report: Report) -> None:
    page, _ = open_file(browser, report.folder / "report.html", dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf()) > 10_000
    page.context.close()


def test_best_values_that_are_missing_do_not_stop_the_page() -> None:
    import polars as pl

    history = pl.DataFrame(
        {
            "epoch": [1],
            "train_loss": [math.nan],
            "train_accuracy": [0.5],
            "val_loss": [math.inf],
            "val_accuracy": [0.5],
        }
    )
    accuracy, loss = drawings.curves(history, best_epoch=1)
    assert (accuracy.val, loss.val) == ("0.0,100.0", "")
    assert drawings.curves(history.clear(), 1) == []
