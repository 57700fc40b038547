"""Lakes of drawn photos with planted defects and known truth: what is found, and that nothing is invented.

The same lakes as `python -m benchmarks.planted` makes, smaller. Intervals are in benchmarks/RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from benchmarks.planting.broken import BROKEN_KINDS, GOOD_KINDS, plant_broken
from benchmarks.planting.copies import NEAR_KINDS, plant_copies
from benchmarks.planting.outliers import EXPECTED, plant_outliers
from benchmarks.planting.sources import Source, drawn_sources
from benchmarks.planting.writing import Copy, Truth
from benchmarks.scoring import Pair, score_copies, score_flags
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from tests.tiny import TINY

N_DRAWN = 150
COPY_KINDS = ("exact_duplicate", "near_duplicate", "label_conflict")
# What is found of each kind with no exception; the others are measured by the benchmark.
SURE_COPIES = {kind for kind in NEAR_KINDS if kind.startswith(("JPEG", "resize"))} | {"mirror", "greyscale"}
SURE_OUTLIERS = {"dark, 6% of the light", "tiny, below 60 px", "strip of 1 to 8", "pale, 4% of the contrast", "blank"}


@pytest.fixture(scope="module")
def drawn() -> list[Source]:
    return list(drawn_sources(N_DRAWN, seed=3, size_px=(240, 180)))


def found(lake: Path, work: Path, **train: object) -> pl.DataFrame:
    """The findings; copies are looked for with the features of the usual backbone, and nothing else here is."""
    snapshot = scan(lake, work=work, report=silent)
    return review(snapshot, work=work, report=silent, train=train).findings()


def pairs(findings: pl.DataFrame, kinds: Iterable[str]) -> list[Pair]:
    rows = findings.filter(pl.col("kind").is_in(list(kinds)) & pl.col("related_path").is_not_null())
    return [(str(path), str(related)) for path, related in rows.select("path", "related_path").rows()]


def kinds_by_path(findings: pl.DataFrame) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for kind, path in findings.select("kind", "path").rows():
        kinds.setdefault(str(path), set()).add(str(kind))
    return kinds


def test_what_cannot_be_read_is_found_and_what_can_is_left_alone(drawn: list[Source], tmp_path: Path) -> None:
    truth = plant_broken(tmp_path / "lake", drawn[:72], seed=1, per_kind=1)
    kinds = kinds_by_path(found(tmp_path / "lake", tmp_path / "work", **TINY))
    unreadable = {path for path, of_path in kinds.items() if of_path & {"unreadable", "vector", "zero_byte"}}
    assert set(truth.broken.values()) == set(BROKEN_KINDS)
    assert set(truth.odd_but_good.values()) == set(GOOD_KINDS)
    missed = {kind for path, kind in truth.broken.items() if path not in unreadable}
    assert missed == set()
    assert unreadable <= set(truth.broken)


def test_copies_are_tied_to_their_originals_and_to_nothing_else(drawn: list[Source], tmp_path: Path) -> None:
    truth = plant_copies(tmp_path / "lake", drawn[:72], seed=1, copies_per_original=3)
    findings = found(tmp_path / "lake", tmp_path / "work")
    exact = score_copies(truth, truth.exact, pairs(findings, ("exact_duplicate", "label_conflict")))
    assert exact.recall == (len(truth.exact), len(truth.exact))
    near = score_copies(truth, truth.near, pairs(findings, COPY_KINDS))
    assert near.false_pairs == []
    n_found, n_planted = near.recall
    assert n_found >= 0.95 * n_planted
    assert {tally.kind for tally in near.tallies} == set(NEAR_KINDS)
    assert {tally.kind for tally in near.tallies if tally.missed} & SURE_COPIES == set()
    conflicts = {frozenset(pair) for pair in pairs(findings, ["label_conflict"])}
    planted = {frozenset((copy.path, copy.original)) for copy in truth.exact if not copy.same_label}
    assert planted <= conflicts


def test_photos_of_no_use_are_found_and_good_ones_are_not(drawn: list[Source], tmp_path: Path) -> None:
    truth = plant_outliers(tmp_path / "lake", drawn, seed=1, per_kind=3)
    kinds = kinds_by_path(found(tmp_path / "lake", tmp_path / "work", **TINY))
    assert set(truth.outliers.values()) == set(EXPECTED)
    tallies = {tally.kind: tally for tally in score_flags(truth.outliers, kinds, EXPECTED)}
    assert {kind for kind in SURE_OUTLIERS if tallies[kind].missed} == set()
    named = set().union(*EXPECTED.values())
    assert {path: kinds[path] & named for path in truth.untouched if kinds.get(path, set()) & named} == {}


def test_a_false_pair_finds_nothing() -> None:
    truth = Truth(source_of={"a": "1", "b": "1", "c": "2"})
    copies = [Copy("b", "a", "mirror", True)]
    over_another = score_copies(truth, copies, [("a", "c"), ("c", "b")])
    assert over_another.recall == (0, 1)
    assert over_another.precision == (0, 2)
    seen_by_eye = score_copies(truth, copies, [("a", "c"), ("c", "b")], {frozenset(("1", "2"))})
    assert seen_by_eye.recall == (1, 1)
    assert seen_by_eye.precision == (2, 2)


def test_each_kind_of_copy_falls_on_photos_of_every_class(drawn: list[Source], tmp_path: Path) -> None:
    """Else a figure of a kind would be one of the photos that it happened to fall on."""

    truth = plant_copies(tmp_path / "lake", drawn[:144], seed=2, copies_per_original=6)
    classes: dict[str, set[str]] = {}
    for copy in truth.near:
        classes.setdefault(copy.kind, set()).add(truth.source_of[copy.original].split("/")[1])
    assert {kind: len(of_kind) for kind, of_kind in classes.items()} == dict.fromkeys(NEAR_KINDS, 4)
    counts = [sum(copy.kind == kind for copy in truth.near) for kind in NEAR_KINDS]
    assert max(counts) - min(counts) <= 1
    assert len({(copy.original, copy.kind) for copy in truth.near}) == len(truth.near)
