"""What is decided for people without time."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fledged
from fledged.errors import ConfigError
from fledged.reviewing.advice import advised_decisions, apply_advice
from fledged.reviewing.decisions import Decision, read_decisions
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.reviewing.log import DecisionLog
from tests.reviewing.conftest import BIRD, DRONE, FINDINGS, Place, Row, draw_desk_lake, hashes
from tests.tiny import TINY


def table(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=FINDING_TYPES, orient="row")


def photos(*paths: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "path": paths,
            "label": ["owl"] * len(paths),
            "sha256": [f"{i:064d}" for i in range(len(paths))],
            "width_px": [100 + i for i in range(len(paths))],
            "height_px": [100] * len(paths),
        },
        schema_overrides={"path": pl.String, "label": pl.String, "sha256": pl.String},
    )


def advised(rows: list[Row], *paths: str, decided: str = "", dropped: str = "") -> dict[str, str]:
    made = advised_decisions(photos(*paths), table(rows), set(decided), set(dropped))
    assert {d.reviewer for d in made} <= {"advice"}
    return {d.path: d.label or d.action for d in made}


def test_drop_and_relabel_are_taken_and_look_is_not() -> None:
    rows: list[Row] = [
        ("tiny", "a", None, None, 10.0, 64.0, "drop"),
        ("likely_mislabel", "b", None, "hawk", 0.9, 0.5, "relabel"),
        ("likely_mislabel", "b", None, "gull", 0.4, 0.5, "relabel"),
        ("likely_mislabel", "a", None, "hawk", 0.9, 0.5, "relabel"),
        ("dark", "c", None, None, 0.01, 0.1, "look"),
        ("likely_mislabel", "d", None, "owl", 0.9, 0.5, "relabel"),  # it is one already
        ("tiny", "gone", None, None, 10.0, 64.0, "drop"),
    ]
    assert advised(rows, *"abcd") == {"a": "drop", "b": "hawk"}
    assert advised(rows, *"abcd", decided="ab") == {}


def test_of_photos_that_show_the_same_one_stays() -> None:
    copies: list[Row] = [
        ("exact_duplicate", "a", "b", None, 1.0, None, "drop"),
        ("near_duplicate", "b", "c", None, 0.97, 0.96, "drop"),
    ]
    assert advised(copies, *"abc") == {"a": "drop", "b": "drop"}
    # A person dropped the one that was to stay: the larger of the others stays instead.
    assert advised(copies, *"abc", decided="c", dropped="c") == {"a": "drop"}
    # It has a fault of its own.
    assert advised([*copies, ("tiny", "c", None, None, 1.0, 64.0, "drop")], *"abc") == {"a": "drop", "c": "drop"}
    # All have: then there is none to keep.
    faults: list[Row] = [("tiny", path, None, None, 1.0, 64.0, "drop") for path in "abc"]
    assert advised([*copies, *faults], *"abc") == dict.fromkeys("abc", "drop")


@given(
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")).filter(lambda p: p[0] != p[1])),
    st.sets(st.sampled_from("abcdefg")),
)
def test_no_group_of_copies_is_ever_dropped_as_a_whole(pairs: list[tuple[str, str]], by_people: set[str]) -> None:
    rows: list[Row] = [("near_duplicate", a, b, None, 1.0, None, "drop") for a, b in pairs]
    made = advised(rows, *"abcdefg", decided="".join(by_people), dropped="".join(by_people))
    assert not set(made) & by_people
    left = set("abcdefg") - set(made) - by_people
    for a, b in pairs:
        group = {a, b}
        while more := {n for pair in pairs for n in pair if set(pair) & group} - group:
            group |= more
        assert group & left or group <= by_people


def test_doing_it_twice_appends_nothing_and_people_come_first(place: Place) -> None:
    log = DecisionLog(place.log)
    log.append([Decision(path=f"{BIRD}/1.jpg", action="keep", reviewer="ana")], [None])
    all_photos, findings = place.snapshot.photos(), place.review.findings()
    assert apply_advice(log, all_photos, findings) == 3
    lines = place.lines()
    assert len(lines) == 4
    assert apply_advice(DecisionLog(place.log), all_photos, findings) == 0
    assert place.lines() == lines
    found = dict(read_decisions(place.log).select("path", "action").rows())
    assert found[f"{BIRD}/1.jpg"] == "keep"
    assert found[f"{BIRD}/copy.jpg"] == "drop"
    assert f"{BIRD}/0.jpg" not in found
    assert f"{DRONE}/2.jpg" not in found


def test_a_review_with_advice_holds_it_and_leaves_the_lake_alone(tmp_path: Path) -> None:
    lake, work = tmp_path / "lake", tmp_path / "work"
    draw_desk_lake(lake)
    before = hashes(lake)
    snapshot = fledged.scan(lake, work=work)
    plain = fledged.review(snapshot, work=work, train=TINY)
    made = fledged.review(snapshot, apply="advice", work=work, train=TINY)
    assert made.n_advised == made.n_decisions > 0
    assert made.id != plain.id
    assert made.findings().equals(plain.findings())
    assert f"{BIRD}/broken.jpg" in made.decisions().filter(pl.col("action") == "drop")["path"]
    assert fledged.review(snapshot, apply="advice", work=work, train=TINY) == made
    assert fledged.review(snapshot, work=work, train=TINY) == made
    assert hashes(lake) == before
    with pytest.raises(ConfigError, match="Known: advice"):
        fledged.review(snapshot, apply="everything", work=work)  # type: ignore[arg-type]


def test_findings_of_the_fixture_are_of_every_advice() -> None:
    assert {row[-1] for row in FINDINGS} == {"drop", "relabel", "look"}
