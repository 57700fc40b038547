"""Progress: lines for logs, bars for people, and what is said beside them."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time

import pytest

from fledged import progress
from fledged.progress import Bars, Lines


def test_a_log_gets_a_line_every_ten_seconds_with_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    report = Lines()
    report("Training epochs", 0, 20)
    for wait_s in (4.0, 6.0, 1.0):
        now_s += wait_s
        report("Training epochs", 4, 20)
    assert capsys.readouterr().err == "Training epochs: 4 of 20, about 40 s left\n"


def test_what_was_done_before_is_not_taken_for_pace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    report = Lines()
    report("Training epochs", 8, 20)
    now_s += 20
    report("Training epochs", 8, 20)
    report("Training epochs", 10, 20)
    assert capsys.readouterr().err == "Training epochs: 10 of 20, about 100 s left\n"


def test_a_slow_pace_is_told_in_tenths() -> None:
    assert [progress._rate(each) for each in (0.0, 0.26, 9.0, 1234.0)] == ["0/s", "0.3/s", "9.0/s", "1,234/s"]


def test_what_is_told_counts_as_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    report = Lines()
    report("Training epochs", 0, 20)
    now_s = 115.0
    progress.tell("Epoch 1 of 20", report)
    report("Training epochs", 1, 20)
    assert capsys.readouterr().err == "Epoch 1 of 20\n"


def _all_of(terminal: int) -> str:
    """What was written to a terminal that is closed at its other end: the kernel hands it over in pieces."""
    pieces = []
    with contextlib.suppress(OSError):  # how its end is told
        while piece := os.read(terminal, 1 << 16):
            pieces.append(piece)
    os.close(terminal)
    return b"".join(pieces).decode()


def test_a_line_stands_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_QUIET_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = os.openpty()
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        report = Bars()
        progress.tell("before", report)
        report("Training epochs", 0, 20)
        report("Training epochs", 1, 20)
        progress.tell("Epoch 1 of 20: [bold] 50%", report)
        report("Training epochs", 20, 20)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", _all_of(reader)).replace("\r", "\n")
    assert [line for line in plain.splitlines() if "Epoch" in line] == ["Epoch 1 of 20: [bold] 50%"]
    assert plain.startswith("before\n")


def test_reports_that_hear_numbers_alone_are_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[str, int, int]] = []
    progress.tell("Epoch 1 of 20", progress.silent)
    progress.tell("Epoch 1 of 20", lambda *numbers: heard.append(numbers))
    assert (heard, capsys.readouterr().err) == ([], "")
