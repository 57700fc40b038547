"""The log of people's decisions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.errors import ProductError
from fledged.reviewing.decisions import Decision, Tally, read_decisions, read_log, standing_decisions


def test_the_last_decision_of_a_photo_wins(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text(
        '{"path": "a.jpg", "action": "drop"}\n\n'
        '{"path": "b.jpg", "action": "relabel", "label": "owl", "reviewer": "ana", "time": "2026-11-21T10:00:00Z"}\n'
        '{"path": "a.jpg", "action": "keep"}\n'
    )
    assert read_decisions(log).select("path", "action", "label").rows() == [
        ("a.jpg", "keep", None),
        ("b.jpg", "relabel", "owl"),
    ]


def test_no_log_is_no_decision(tmp_path: Path) -> None:
    assert read_decisions(tmp_path / "decisions.jsonl").is_empty()


@pytest.mark.parametrize(
    "line",
    [
        "drop a.jpg",
        '{"path": "a.jpg", "action": "delete"}',
        '{"path": "a.jpg", "action": "relabel"}',
        '{"action": "drop"}',
        *(
            f'{{"path": "a.jpg", "action": "relabel", "label": "{bad}"}}'
            for bad in ("../evil", "a/b", "..", " ", "é" * 200)
        ),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text('{"path": "a.jpg", "action": "keep"}\n' + line + "\n")
    with pytest.raises(ProductError, match="Line 2 is no decision"):
        read_decisions(log)


def text_of(lines: list[Decision]) -> bytes:
    return b"".join(line.line() for line in lines)


def standing(data: bytes) -> dict[str, tuple[str, str | None]]:
    tally = Tally()
    for _ in tally.read(data, Path("decisions.jsonl")):
        pass
    return {path: (d.action, d.label) for path, d in tally.standing.items() if d.action != "undecide"}


NAMES = st.sampled_from(["a.jpg", "hawk/ü 鳥.jpg", "two\nlines.jpg", "a\u2028b\x85.jpg"])
TIMES = st.integers(0, 10_000).map(lambda s: (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=s)).isoformat())
CHOICES = st.sampled_from([("keep", None), ("drop", None), ("relabel", "owl"), ("relabel", "hawk"), ("undecide", None)])


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Decision], list[Decision]]:
    """What two people decided, each in the order of time, no two at the same moment."""
    times = sorted(draw(st.lists(TIMES, unique=True, max_size=14)))
    sides: tuple[list[Decision], list[Decision]] = ([], [])
    for time in times:
        action, label = draw(CHOICES)
        decision = Decision.model_validate({"path": draw(NAMES), "action": action, "label": label, "time": time})
        sides[draw(st.integers(0, 1))].append(decision)
    return sides


@settings(max_examples=80, deadline=None)
@given(logs(), st.randoms(use_true_random=False))
def test_logs_can_be_put_together_in_any_order(sides: tuple[list[Decision], list[Decision]], random: object) -> None:
    ours, theirs = sides
    by_time = sorted(ours + theirs, key=lambda d: d.time)
    expected = {d.path: (d.action, d.label) for d in by_time}
    expected = {path: what for path, what in expected.items() if what[0] != "undecide"}
    shuffled = ours + theirs
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert standing(text_of(by_time)) == expected
    assert standing(text_of(ours + theirs)) == expected
    assert standing(text_of(theirs + ours)) == expected
    assert standing(text_of(shuffled)) == expected
    assert standing(text_of(by_time + by_time)) == expected


@settings(max_examples=50, deadline=None)
@given(logs(), NAMES)
def test_a_line_without_a_time_at_the_end_has_the_last_word(
    sides: tuple[list[Decision], list[Decision]], path: str
) -> None:
    by_hand = json.dumps({"path": path, "action": "relabel", "label": "gull"}).encode()
    assert standing(text_of(sides[1] + sides[0]) + by_hand)[path] == ("relabel", "gull")


@settings(max_examples=80, deadline=None)
@given(logs(), st.integers(0, 300))
def test_a_log_that_was_cut_anywhere_is_read_up_to_there(
    sides: tuple[list[Decision], list[Decision]], cut: int
) -> None:
    lines = sides[0] + sides[1]
    data = text_of(lines)[: max(0, len(text_of(lines)) - cut)]
    n_whole = data.count(b"\n") + (data[data.rfind(b"\n") + 1 :] + b"\n" in [line.line() for line in lines])
    assert standing(data) == standing(text_of(lines[:n_whole]))
    # A new line goes on after it, and what was cut stays uncounted.
    after = Decision(path="new.jpg", action="drop")
    assert standing(data + b"\n" + after.line()) == standing(text_of([*lines[:n_whole], after]))


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60))
def test_garbage_is_refused_or_has_no_effect(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    log = tmp_path_factory.mktemp("log") / "decisions.jsonl"
    log.write_bytes(b'{"path": "a.jpg", "action": "keep"}\n' + garbage)
    try:
        found = read_decisions(log)
    except ProductError as error:
        assert str(error).count("\n") == 0
    else:
        assert found["path"].to_list() == ["a.jpg"]


@pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"])
def test_a_conflict_of_git_is_named_by_its_line(tmp_path: Path, marker: str) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text('{"path": "a.jpg", "action": "keep"}\n' + marker + '\n{"path": "b.jpg", "action": "keep"}\n')
    with pytest.raises(ProductError, match="Line 2 is a conflict marker of git"):
        read_decisions(log)


def test_windows_editors_are_welcome(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(b'\xef\xbb\xbf{"path": "a.jpg", "action": "keep"}\r\n{"path": "b.jpg", "action": "drop"}')
    assert read_decisions(log)["action"].to_list() == ["keep", "drop"]


def test_a_time_that_is_none_is_named(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text('{"path": "a.jpg", "action": "keep", "time": "yesterday"}\n')
    with pytest.raises(ProductError, match="Line 1 is no decision"):
        read_decisions(log)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_outside_of_what_can_be_told_in_utc_is_named(tmp_path: Path, time: str) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text(f'{{"path": "a/1.jpg", "action": "drop", "time": "{time}"}}\n')
    with pytest.raises(ProductError, match="Line 1 is no decision: `time`: a time is of the years 1 to 9999"):
        read_decisions(log)


def test_times_are_compared_across_zones(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text(
        '{"path": "a.jpg", "action": "keep", "time": "2026-11-21T10:30:00Z"}\n'
        '{"path": "a.jpg", "action": "drop", "time": "2026-11-21T11:00:00+01:00"}\n'
    )
    assert read_decisions(log)["action"].to_list() == ["keep"]


def test_decisions_about_what_is_no_more_are_counted_and_do_not_count(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    photos = pl.DataFrame({"path": ["same.jpg", "new.jpg", "unread.jpg"], "sha256": ["1" * 64, "2" * 64, None]})
    log.write_bytes(
        text_of(
            [
                Decision(path="same.jpg", action="drop", sha256="1" * 64),
                Decision(path="new.jpg", action="drop", sha256="9" * 64),
                Decision(path="unread.jpg", action="drop", sha256="3" * 64),
                Decision(path="gone.jpg", action="keep"),
            ]
        )
        + b'{"path": "cut'
    )
    found = standing_decisions(log, photos)
    assert found.decisions["path"].to_list() == ["same.jpg", "unread.jpg"]
    assert found.ignored == {"photo is gone": 1, "photo was replaced": 1, "line is cut off": 1}
    of_sample = standing_decisions(log, photos, is_sample=True)
    assert of_sample.decisions.equals(found.decisions)
    assert of_sample.ignored["photo is not in the sample"] == 1
    assert read_log(log).cut_off == [5]
