"""A hostile photo is good or bad on all ways that photos come in, and ends none of them."""

from __future__ import annotations

import os
from itertools import chain, islice
from pathlib import Path

import pytest

from fuzz import corpus
from fuzz.photos import ask_apart
from fuzz.ways import LIMIT_MB

# A folder of hostile photos, such as Tests/images of Pillow's source.
HOSTILE = os.environ.get("FLEDGED_HOSTILE_PHOTOS", "")


def test_scan_predict_server_and_lambda_agree_on_damaged_photos() -> None:
    """A sample of `make fuzz`: all forged ones and variants, 100 truncations, 120 flips"""
    cases = list(chain(corpus.forged(), corpus.truncations(every=61), corpus.flips(120, seed=20)))
    assert len(cases) > 350
    found = ask_apart(iter(cases))
    assert not found.defects
    assert found.counts["good"] + found.counts["bad"] == len(cases)
    assert found.counts["good"] > 50 < found.counts["bad"]
    assert all(20 < held_mb <= LIMIT_MB for held_mb in found.most_mb.values()), found.most_mb
    assert set(found.most_mb) == {"here", "a decoder"}


def test_a_photo_that_ends_its_process_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Read by fuzz.ways in the process that it starts: proof that a crash would be told, not passed over.
    monkeypatch.setenv("FLEDGED_FUZZ_CRASH", "crash here")
    cases = [("good", corpus.six()["PNG"]), ("the one", b"crash here"), ("bad", b"")]
    found = ask_apart(iter(cases))
    assert found.defects == ["the one: ended its process"]
    assert found.counts == {"good": 1, "bad": 1}


@pytest.mark.skipif(not HOSTILE, reason="FLEDGED_HOSTILE_PHOTOS names no folder of hostile photos")
def test_they_agree_on_a_corpus() -> None:
    found = ask_apart(islice(corpus.folder(Path(HOSTILE)), 2000))
    assert not found.defects
