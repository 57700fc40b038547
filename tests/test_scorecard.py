"""The report in the terminal: all figures where there is room, fewer where it is narrow, never a line too long."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from fledged.measured import ClassFigures, Figure, Overall
from fledged.products import Report
from fledged.scorecard import scorecard
from fledged.workspace import now

HALF = Figure(value=0.5, low=0.4, high=0.6, n=100)


def report(classes: tuple[str, ...], *, old: bool = False) -> Report:
    overall = Overall(
        n_groups=50,
        n_resamples=1000,
        balanced_accuracy=HALF,
        macro_f1=HALF,
        weighted_f1=HALF,
        log_loss=HALF,
        brier=HALF,
        brier_guess=0.5,
        top_k=(),
        macro_auc=HALF,
        macro_average_precision=HALF,
    )
    entries = [
        ClassFigures(
            label=label,
            precision=0.25,
            recall=Figure(value=i / len(classes), low=0.0, high=1.0, n=10),
            f1=0.125,
            support=10,
            precision_interval=None if old else HALF,
        )
        for i, label in enumerate(classes)
    ]
    n = len(classes)
    return Report(
        id="4e90",
        version=Report.format_version,
        created_at=now(),
        subject="run:1",
        source="test",
        classes=classes,
        accuracy=HALF,
        balanced_accuracy=0.5,
        macro_f1=0.5,
        log_loss=0.5,
        by_class=tuple(entries),
        confusion=tuple(tuple(8 if t == p else 1 for p in range(n)) for t in range(n)),
        n_unreadable=0,
        folders_without_class={},
        overall=None if old else overall,
    )


@pytest.mark.parametrize("width", [32, 40, 60, 80, 100, 200])
@pytest.mark.parametrize(
    "classes",
    [
        ("bird", "drone"),
        ("翡翠", "麻雀の一種でとても長い名前"),
        tuple(f"a rather long class name {n}" for n in range(50)),
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_no_line_is_too_long(width: int, classes: tuple[str, ...], old: bool) -> None:
    lines = [line.plain for line in scorecard(report(classes, old=old), width)]
    assert all(cell_len(line) <= width for line in lines), max(lines, key=cell_len)
    assert any("recall" in line and "F1" in line for line in lines)
    assert all("\n" not in line for line in lines)


def test_figures_are_those_of_the_report() -> None:
    text = "\n".join(line.plain for line in scorecard(report(("bird", "drone")), 120))
    assert "bird     0.0%  (0.0% to 100.0%)      25.0%  (40.0% to 60.0%)  0.125      10" in text
    assert "drone   50.0%" in text
    assert "macro F1 0.500 (0.400 to 0.600)" in text
    assert "drone                1      8" in text


def test_columns_stand_below_each_other_whatever_classes_are_called() -> None:
    lines = [line.plain for line in scorecard(report(("翡翠", "kingfisher")), 120)]
    rows = [line for line in lines if line.endswith("0.125      10")]
    assert len(rows) == 2
    assert len({cell_len(row) for row in rows}) == 1


def test_many_classes_list_the_weakest_and_the_worst_confusions() -> None:
    lines = [line.plain for line in scorecard(report(tuple(f"class {n}" for n in range(50))), 100)]
    assert any(line.startswith("class 0 ") for line in lines)
    assert "and 20 better ones" in lines
    assert sum("taken for" in line for line in lines) == 5


def test_names_break_no_line() -> None:
    lines = [line.plain for line in scorecard(report(("a\nb\x1b[31m", "c")), 100)]
    assert not any("\x1b" in line or "\n" in line for line in lines)


def shown(folder: Path, *, tty: bool, env: dict[str, str]) -> str:
    """What `show` prints, into a pipe or a terminal."""
    made = report(("bird", "drone"))
    (folder / "report.json").write_text(made.model_dump_json())
    code = (
        "import sys; from pathlib import Path\n"
        "from fledged.cli.judged import show; from fledged.products import Report\n"
        "folder = Path(sys.argv[1]); made = Report.model_validate_json((folder / 'report.json').read_bytes())\n"
        "made.at(folder); show(made, folder)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    environment = {**os.environ, "TERM": "xterm-256color", **env}
    if "NO_COLOR" not in env:
        environment.pop("NO_COLOR", None)
    if not tty:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    leader, follower = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=follower, stderr=follower, close_fds=True) as process:
        os.close(follower)
        read = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                break
            if not part:
                break
            read += part
        assert process.wait() == 0
    os.close(leader)
    return read.decode()


def test_colour_is_for_terminals_and_only_where_it_is_wanted(tmp_path: Path) -> None:
    piped = shown(tmp_path, tty=False, env={})
    assert "\x1b" not in piped
    assert "(95% interval)" in piped
    assert piped.rstrip().endswith(f"Next: fledged export 1 --work {tmp_path}")
    assert "\x1b[" in shown(tmp_path, tty=True, env={"COLUMNS": "100"})
    assert "\x1b[3" not in shown(tmp_path, tty=True, env={"NO_COLOR": "1", "COLUMNS": "100"})
    narrow = shown(tmp_path, tty=True, env={"NO_COLOR": "1", "COLUMNS": "40"})
    assert "of precision" not in narrow
