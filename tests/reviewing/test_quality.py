"""Photos that are of little use by themselves, each under its kind."""

from __future__ import annotations

import polars as pl
import pytest

from fledged.reviewing.findings import TYPES
from fledged.reviewing.quality import quality_findings
from fledged.settings.lake import ReviewConfig

USUAL: dict[str, object] = {
    "path": "good.jpg",
    "n_bytes": 9000,
    "width_px": 400,
    "height_px": 300,
    "n_frames": 1,
    "brightness": 0.5,
    "contrast": 0.2,
    "sharpness": 0.2,
    "entropy": 7.0,
    "flat_share": 0.1,
    "error": None,
}


def kinds(**changes: object) -> dict[str, str]:
    row = pl.DataFrame([USUAL | changes], schema_overrides={"error": pl.String})
    return dict(quality_findings(row, ReviewConfig()).select("kind", "advice").rows())


def test_a_usual_photo_has_no_finding() -> None:
    assert kinds() == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"width_px": 40}, {"tiny": "drop", "odd_aspect": "look"}),
        ({"width_px": 9000, "height_px": 7000}, {"huge": "look"}),
        ({"width_px": 2000}, {"odd_aspect": "look"}),
        ({"n_frames": 3}, {"animated": "look"}),
        ({"brightness": 0.01}, {"dark": "look"}),
        ({"brightness": 0.99}, {"bright": "look"}),
        ({"contrast": 0.001}, {"low_information": "drop"}),
        ({"entropy": 0.4}, {"low_information": "drop"}),
        ({"sharpness": 0.01}, {"blurry": "look"}),
        ({"sharpness": 0.01, "entropy": 0.1}, {"low_information": "drop"}),
        ({"flat_share": 0.95}, {"graphic": "look"}),
        ({"flat_share": 0.85, "sharpness": 0.5}, {"graphic": "look"}),
        ({"error": "truncated"}, {"unreadable": "drop"}),
        ({"error": "empty file", "n_bytes": 0}, {"unreadable": "drop", "zero_byte": "drop"}),
        ({"error": "a vector drawing (SVG)"}, {"unreadable": "drop", "vector": "drop"}),
    ],
)
def test_each_fault_has_its_kind_and_advice(changes: dict[str, object], expected: dict[str, str]) -> None:
    assert kinds(**changes) == expected


def test_a_finding_says_how_far_over_which_threshold() -> None:
    row = pl.DataFrame([USUAL | {"width_px": 2000}], schema_overrides={"error": pl.String})
    found = quality_findings(row, ReviewConfig())
    assert dict(found.schema) == TYPES
    assert found.select("score", "threshold").rows() == [(pytest.approx(2000 / 300), 4.0)]
