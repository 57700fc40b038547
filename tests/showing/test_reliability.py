"""The sections about how true a confidence is and about refused photos, on a page with real figures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from fledged.config import resolve
from fledged.evaluating.evaluate import exam_of, report_on
from fledged.measuring import unknown
from fledged.products import Calibration, LeftOutClass, Report, Unknown
from fledged.progress import silent
from fledged.settings.results import EvaluateConfig
from fledged.showing.reliability import diagram
from fledged.workspace import Workspace
from tests.browsing import barriers, open_file
from tests.evaluating.colours import knows_colours, save_dataset, save_run, small_lake, subject_of
from tests.showing.test_page import Read, html_of, lookup


def make_modest_report(root: Path) -> Report:
    """Of the colour classifier with a temperature and a threshold, which refuses what is rather grey."""
    lake, workspace = root / "lake", Workspace(root / "work")
    photos = small_lake(lake)
    run = save_run(workspace, save_dataset(workspace, lake, photos))
    answers = knows_colours(run.classes)
    known = Unknown(threshold=0.5, share_kept=0.95, n_photos=40)
    subject = dataclasses.replace(
        subject_of(run),
        calibration=Calibration(temperature=1.5, n_photos=40),
        unknown=known,
        load_scored=lambda: lambda batch: (answers(batch), 1 - answers(batch).max(1)),
    )
    exam = exam_of(workspace, subject, None)
    left_out = tuple(
        LeftOutClass(label=label, auroc=0.9 + i / 100, fpr95=0.1 * i, n_known=20, n_unknown=10)
        for i, label in enumerate(run.classes)
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(unknown, "left_out_of", lambda *_: left_out)
        return report_on(subject, exam, workspace, resolve(EvaluateConfig, {}), silent)


@pytest.fixture(scope="module")
def modest(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return make_modest_report(tmp_path_factory.mktemp("modest"))


def test_figures_about_itself_are_those_of_metrics_json_too(modest: Report) -> None:
    metrics = json.loads((modest.folder / "metrics.json").read_text())
    page = Read()
    page.feed(html_of(modest))
    shown = {path for path, _, _ in page.found}
    assert {
        "calibration.temperature",
        "calibration.ece_before",
        "calibration.ece_after",
        "calibration.ece_by_chance",
        "calibration.after.0.right.value",
        "unknown.threshold",
        "unknown.accepted.value",
        "unknown.right_refused.value",
        "unknown.left_out.1.auroc",
        "unknown.mean_fpr95",
    } <= shown
    for path, value, _ in page.found:
        assert float(value) == lookup(metrics, path)
    assert modest.unknown is not None
    assert 0 < modest.unknown.right_refused.n < modest.accuracy.n


def test_a_model_that_knows_nothing_of_itself_has_no_such_sections(tmp_path: Path) -> None:
    lake, workspace = tmp_path / "lake", Workspace(tmp_path / "work")
    run = save_run(workspace, save_dataset(workspace, lake, small_lake(lake)))
    subject = subject_of(run)
    report = report_on(subject, exam_of(workspace, subject, None), workspace, resolve(EvaluateConfig, {}), silent)
    assert (report.calibration, report.unknown) == (None, None)
    assert 'id="calibration"' not in html_of(report)
    assert 'id="unknown"' not in html_of(report)


def test_points_lie_in_their_frame(modest: Report) -> None:
    drawn = diagram(modest.calibration)
    assert drawn is not None
    assert modest.calibration is not None
    for point, of in zip(drawn.after, modest.calibration.after, strict=True):
        assert 0 <= point.low <= point.y <= point.high <= 100
        assert point.x == drawn.axis.at(of.confidence)
    assert diagram(None) is None


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_in_a_real_browser(browser: Browser, modest: Report, width: int, dark: bool) -> None:
    page, complaints = open_file(browser, modest.folder / "report.html", width=width, dark=dark)
    page.locator("#calibration summary").click()
    frame = page.locator("#calibration .plot").bounding_box()
    assert frame is not None
    for point in page.locator("#calibration .point").all():
        box = point.bounding_box()
        assert box is not None
        assert frame["x"] - 6 <= box["x"] <= frame["x"] + frame["width"] + 1
        assert frame["y"] - 6 <= box["y"] <= frame["y"] + frame["height"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert barriers(page, "serious", "critical") == []
    assert complaints == []
    page.context.close()
