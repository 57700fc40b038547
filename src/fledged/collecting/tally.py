"""What became of everything that was offered: counts a class, reasons, and the table of what was refused."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from fledged.collecting.offers import Refused
from fledged.formulas import cell
from fledged.provenance import STATE_FOLDER
from fledged.records import Record
from fledged.writing import write_bytes

TABLE = f"{STATE_FOLDER}/refused.csv"


class ClassCount(Record):
    """What became of the photos of one class."""

    new: int = 0  # put into the lake by this run
    known: int = 0  # in the lake already
    refused: int = 0
    waiting: int = 0  # left for the next run
    unneeded: int = 0  # beyond the limit of the class


class Collected(Record):
    """What one `collect` did to a lake."""

    source: str
    lake: str
    classes: dict[str, ClassCount]
    refused: dict[str, int]  # reason -> offers, the most frequent first
    waiting: dict[str, int]  # the same, of what the next run tries again
    refused_table: str | None  # path of a CSV table: what, class, reason, detail, tried again; None if nothing was
    seconds: float

    @property
    def n_new(self) -> int:
        """Photos that this run put into the lake."""
        return sum(count.new for count in self.classes.values())

    @property
    def n_known(self) -> int:
        """Photos that were in the lake already."""
        return sum(count.known for count in self.classes.values())


@dataclass(slots=True)
class Tally:
    """Counts while it happens."""

    limits: dict[str, int]  # label -> photos at most; absent: all
    _counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _rows: list[Refused] = field(default_factory=list)
    _on_their_way: Counter[str] = field(default_factory=Counter)

    def have(self, label: str) -> int:
        """Photos of a class that count towards its limit."""
        return self._counts[label]["new"] + self._counts[label]["known"]

    def is_full(self, label: str) -> bool:
        """Whether a class has all the photos that it is to have."""
        return 0 < self.limits.get(label, 0) <= self.have(label)

    def may_fill(self, label: str) -> bool:
        """Whether those that are on their way may suffice."""
        return 0 < self.limits.get(label, 0) <= self.have(label) + self._on_their_way[label]

    def expect(self, label: str, n: int) -> None:
        """One more (or, with -1, less) is on its way."""
        self._on_their_way[label] += n

    def count(self, label: str, what: str) -> None:
        """One more of the fields of ClassCount."""
        self._counts[label][what] += 1

    def refuse(self, row: Refused) -> None:
        """One that is not taken."""
        self._rows.append(row)
        if row.label:
            self.count(row.label, "waiting" if row.again else "refused")

    def advice(self) -> str:
        """What the most frequent reason says besides, if that is the same for all, as a sentence."""
        if not self._rows:
            return ""
        ((reason, _),) = Counter(row.reason for row in self._rows).most_common(1)
        details = {row.detail for row in self._rows if row.reason == reason}
        return f"{reason[:1].upper()}{reason[1:]}: {details.pop()}. " if len(details) == 1 and "" not in details else ""

    def save(self, lake: Path) -> Path | None:
        """Write the table of what was refused; none, and no old one, if nothing was."""
        path = lake / TABLE
        if not self._rows:
            path.unlink(missing_ok=True)
            return None
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("what", "class", "reason", "detail", "next_run_tries_again"))
        for row in self._rows:
            again = "yes" if row.again else "no"
            table.writerow(map(cell, (row.what, row.label or "", row.reason, row.detail, again)))
        write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
        return path

    def result(self, source: str, lake: Path, table: Path | None, seconds: float) -> Collected:
        """The record of this run."""
        refused = Counter(row.reason for row in self._rows if not row.again)
        waiting = Counter(row.reason for row in self._rows if row.again)
        return Collected(
            source=source,
            lake=str(lake),
            classes={label: ClassCount(**counter) for label, counter in sorted(self._counts.items())},
            refused=dict(refused.most_common()),
            waiting=dict(waiting.most_common()),
            refused_table=str(table) if table else None,
            seconds=seconds,
        )
