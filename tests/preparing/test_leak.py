"""A random split claims more than holds where photos have copies, and no more where they have none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from demo.drawing import draw_photo
from demo.photo import CLASSES
from fledged.preparing import leak
from fledged.preparing.prepare import prepare
from fledged.products import Dataset
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.workspace import Workspace

SMALL = "[train]\nbackbone = 'efficientnet_lite0'\ninput.size_px = 64\n"


@pytest.fixture
def small_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of training come from the current folder."""
    (tmp_path / "fledged.toml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)


def test_variants_of_one_photo_make_a_random_split_claim_more(
    tmp_path: Path, small_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels that mean nothing, on photos of one kind: nothing can be learned but the photos themselves."""
    lake = tmp_path / "lake"
    for number in range(24):
        image = draw_photo(CLASSES[0], number, (96, 72))
        folder = lake / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        for variant in range(4):
            image.rotate(variant).save(folder / f"p{number}_jpg.rf.{variant:032x}.jpg", quality=90)
    snapshot = scan(lake, work="work")
    monkeypatch.setattr(leak, "N_SEEDS", 1)
    dataset = prepare(snapshot, review(snapshot, work="work"), work="work", shorter_side_px=64, measure_leak=True)
    found = dataset.leak
    assert found is not None
    assert found.n_groups == dataset.n_groups <= 24
    assert found.random.value > 0.9
    assert found.grouped.value < 0.8
    assert found.difference.low > 0.1
    assert found.random.low < found.random.value < found.random.high <= 1
    assert json.loads((dataset.folder / "dataset.json").read_text())["leak"]["n_groups"] == found.n_groups
    # It is kept, found again, and read without being measured again.
    monkeypatch.setattr(leak, "_judge", None)
    assert prepare(work="work", shorter_side_px=64, measure_leak=True, report=silent) == dataset
    assert Workspace("work").load(Dataset).leak == found


def test_photos_without_copies_leak_nothing(
    clean_lake: Path, tmp_path: Path, small_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = scan(clean_lake, work="work")
    monkeypatch.setattr(leak, "N_SEEDS", 1)
    dataset = prepare(snapshot, review(snapshot, work="work"), work="work", shorter_side_px=64, measure_leak=True)
    assert dataset.leak is not None
    assert dataset.leak.difference.low <= 0 <= dataset.leak.difference.high
    assert dataset.leak.random.n == 40


def test_intervals_count_groups_and_not_photos() -> None:
    right = np.repeat((np.arange(100) % 10 > 0).astype(float), 5)
    alone, grouped = np.arange(500), np.repeat(np.arange(100), 5)
    narrow, wide = leak._accuracy(right, alone), leak._accuracy(right, grouped)
    assert narrow.value == wide.value == pytest.approx(0.9)
    assert wide.high - wide.low > 1.8 * (narrow.high - narrow.low)
    perfect = leak._accuracy(np.ones(500), grouped)
    assert perfect.value == perfect.high == 1.0
    assert 0.95 < perfect.low < 0.97
    assert leak._difference(right - right, grouped).low == 0
