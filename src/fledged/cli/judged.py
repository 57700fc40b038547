"""How an evaluation is told in the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console

from fledged import summary
from fledged.cli.app import at
from fledged.products import Report
from fledged.scorecard import PLAIN_WIDTH, scorecard


def show(report: Report, work: Path) -> None:
    """Print what was made, the figures, where they are and what to do next; in colour where a person looks on."""
    is_plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(color_system=None if is_plain else "auto", highlight=False, markup=False, soft_wrap=True)
    first, *others = summary.lines(report)
    console.print(first)
    console.print()
    for line in scorecard(report, width):
        console.print(line)
    console.print()
    for words in others:
        console.print(words + (at(work) if words.rpartition(": ")[2].startswith("fledged ") else ""))
