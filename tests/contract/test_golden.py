"""What an earlier fledged wrote is opened by this one, and answers as it did then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fledged.predicting.predictor import load
from fledged.predicting.verify import verify
from fledged.products import Bundle
from fledged.serving.drift import Window

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("folder", sorted(GOLDEN.glob("bundle_*")), ids=lambda folder: folder.name)
def test_a_bundle_of_each_format_is_opened(folder: Path) -> None:
    predictor = load(folder)
    photo = np.zeros((40, 40, 3), np.uint8)
    photo[..., 1] = 200
    answer = predictor.predict(photo)
    assert answer.label == "green"
    assert answer.confidence > 0.9


def test_a_bundle_of_before_there_was_a_threshold_accepts_all() -> None:
    record = json.loads((GOLDEN / "bundle_1" / "bundle.json").read_text())
    assert "unknown" not in record
    predictor = load(GOLDEN / "bundle_1")
    assert (predictor.bundle.unknown, predictor.bundle.calibration) == (None, None)
    answer = predictor.predict(np.full((40, 40, 3), 128, np.uint8))
    assert (answer.accepted, answer.unknown_score) == (True, None)


def test_the_format_of_today_has_a_golden_bundle() -> None:
    versions = {json.loads((folder / "bundle.json").read_text())["version"] for folder in GOLDEN.glob("bundle_*")}
    assert Bundle.format_version in versions


def test_a_bundle_with_all_that_a_bundle_may_have_keeps_it() -> None:
    """Threshold, heatmap, spread, integers and its own answers of then."""
    predictor = load(GOLDEN / "bundle_1_whole")
    grey = predictor.predict(np.full((40, 40, 3), 128, np.uint8), explain=True)
    assert not grey.accepted
    assert grey.heatmap is not None
    assert len(grey.heatmap) == predictor.bundle.heatmap_cells == 32
    assert predictor.bundle.precision == "int8"
    window = Window(predictor.bundle.spread)
    for _ in range(200):
        window.add(0.4, 0.6)
    assert {drift.of: drift.psi > 1 for drift in window.drifts()} == {"confidence": True, "unknown_score": True}
    verified = verify(GOLDEN / "bundle_1_whole", ())
    assert verified.is_same
    assert verified.n_drawn == 3
