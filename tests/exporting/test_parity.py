"""The gate: by labels, by probabilities, by accuracy on the same photos."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fledged.errors import ParityError
from fledged.exporting import parity as room
from fledged.exporting.parity import Asked, Gate, parity_of
from fledged.products import Preprocess

LAX = Gate(1.0, None, 0.0, 1.0, "Do this.")


def asked(n_wrong_now: int, n: int = 200) -> Asked:
    """Photos of which the run had all right, and the export has the first few wrong, with a probability 0.6 off."""
    run_NC = np.tile(np.array([0.9, 0.1], np.float32), (n, 1))
    export_NC = run_NC.copy()
    export_NC[:n_wrong_now] = [0.3, 0.7]
    rows = pl.DataFrame({"path": [f"{i}.jpg" for i in range(n)], "sha256": ["0"] * n, "label": ["cat"] * n})
    return Asked(("cat", "dog"), rows, run_NC, export_NC, None)


def test_all_is_counted_on_the_same_photos() -> None:
    parity = parity_of(asked(6), LAX)
    assert (parity.n_photos, parity.label_agreement) == (200, 0.97)
    assert parity.max_abs_difference == pytest.approx(0.6)
    assert parity.accuracy is not None
    assert parity.accuracy.value == 0.97
    assert parity.accuracy_difference is not None
    assert parity.accuracy_difference.value == pytest.approx(-0.03)
    assert parity.accuracy_difference.low < -0.03 < parity.accuracy_difference.high < 0


@pytest.mark.parametrize(
    ("gate", "n_wrong", "words"),
    [
        (replace(LAX, max_abs_difference=0.5), 1, "1 of 200 labels differ, probabilities by up to 0.6.*limit 0.5"),
        (replace(LAX, min_label_agreement=0.98), 5, "at least 98.0% of labels must agree"),
        (replace(LAX, max_accuracy_loss=0.01), 3, "accuracy by -1.5 points .*limit 1 points"),
        (replace(LAX, max_accuracy_loss=0.0), 2, "limit 0 points"),
    ],
)
def test_beyond_a_limit_is_an_error_that_says_by_how_much(gate: Gate, n_wrong: int, words: str) -> None:
    with pytest.raises(ParityError, match=rf"{words}.*\(0\.jpg\)\. Do this\."):
        parity_of(asked(n_wrong), gate)


@pytest.mark.parametrize(
    ("gate", "n_wrong"),
    [
        (replace(LAX, max_abs_difference=0.61), 1),
        (replace(LAX, min_label_agreement=0.97), 6),
        (replace(LAX, max_accuracy_loss=0.01), 2),
        (replace(LAX, max_accuracy_loss=0.0), 1),
    ],
)
def test_within_the_limits_it_passes_and_a_single_photo_never_fails(gate: Gate, n_wrong: int) -> None:
    assert parity_of(asked(n_wrong), gate).n_photos == 200


def test_a_photo_that_the_disk_does_not_give_for_a_moment_ends_the_export_and_one_that_is_gone_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = Preprocess(size_px=32, resize="crop", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    photo = tmp_path / "a.jpg"
    assert room._input(photo, "", how) is None

    def fails(file: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(room, "read", fails)
    with pytest.raises(OSError, match="Input/output error") as raised:
        room._input(photo, "", how)
    assert raised.value.filename == str(photo)
