"""The log of people's decisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged.errors import ProductError
from fledged.reviewing.decisions import read_decisions


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
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text('{"path": "a.jpg", "action": "keep"}\n' + line + "\n")
    with pytest.raises(ProductError, match="Line 2 is no decision"):
        read_decisions(log)
