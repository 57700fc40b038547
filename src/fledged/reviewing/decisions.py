"""People's decisions about photos: an append-only log, one JSON object a line, the latest one of a photo wins.

    {"path": "hawks/12.jpg", "action": "relabel", "label": "eagles", "reviewer": "ana", "time": "2026-11-21T10:00:00Z"}

The lake itself is never touched. The file can be edited, merged and kept in git: what counts is the time of a line and
not its place, so that the logs of two people may be put together in any order. A line without a time counts as made
right after the lines before it; of one time, the last line wins. `undecide` takes a decision back. A decision with a
sha256 holds for that content only: a file that was replaced since is undecided again. It does not follow a photo to
another path, since a copy that was dropped and then deleted would take its original along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import ValidationError, field_validator, model_validator
from pydantic_core import from_json

from fledged.errors import ProductError
from fledged.records import Record
from fledged.writing import bytes_of_file

MAX_LABEL_BYTES = 255  # what file systems take

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_CONFLICT_MARKER = re.compile(rb"(<<<<<<<|\|\|\|\|\|\|\||=======|>>>>>>>)( |$)")
_TYPES = {"path": pl.String, "action": pl.String, "label": pl.String, "reviewer": pl.String, "sha256": pl.String}


class Decision(Record):
    """What somebody decided about one photo."""

    path: str  # relative to the lake
    action: Literal["keep", "drop", "relabel", "undecide"]
    label: str | None = None  # of action "relabel"
    reviewer: str = ""
    time: str = ""  # ISO 8601; UTC unless it says otherwise
    sha256: str = ""  # of the photo that was decided about

    @model_validator(mode="after")
    def _label_of_relabel(self) -> Decision:
        if (self.action == "relabel") != bool(self.label):
            raise ValueError("a label belongs to the action relabel, and only to it")
        return self

    @field_validator("label")
    @classmethod
    def _a_folder_name(cls, label: str | None) -> str | None:
        return None if label is None else folder_name(label)

    @field_validator("time")
    @classmethod
    def _a_time(cls, time: str) -> str:
        if time:
            moment_of(time)
        return time

    def line(self) -> bytes:
        """The decision as it stands in the log, with the newline."""
        return self.model_dump_json(exclude_none=True, exclude_defaults=True).encode() + b"\n"


@dataclass(slots=True)
class Tally:
    """What a log says so far, line by line."""

    standing: dict[str, Decision] = field(default_factory=dict)  # the latest of each path, `undecide` among them
    n_lines: int = 0
    cut_off: list[int] = field(default_factory=list)  # numbers of lines that a crash left unfinished
    _moments: dict[str, datetime] = field(default_factory=dict)
    _latest: datetime = _BEGINNING

    def moment(self, path: str) -> datetime:
        """When the standing decision of a path was made; the year 1 if there is none."""
        return self._moments.get(path, _BEGINNING)

    def take(self, decision: Decision) -> bool:
        """Count one decision in; whether it now stands."""
        moment = moment_of(decision.time) if decision.time else self._latest
        self._latest = max(self._latest, moment)
        if moment < self.moment(decision.path):
            return False
        self.standing[decision.path] = decision
        self._moments[decision.path] = moment
        return True

    def read(self, data: bytes, log: Path) -> Iterator[Decision]:
        """Count whole lines in; yields the decisions that stood when they were read.

        Raises ProductError naming the first line that is none.
        """
        for line in data.split(b"\n"):  # and not splitlines(): names may hold other line separators
            self.n_lines += 1
            decision = self._decision(line, log)
            if decision is not None and self.take(decision):
                yield decision

    def _decision(self, line: bytes, log: Path) -> Decision | None:
        line = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not line:
            return None
        if _CONFLICT_MARKER.match(line):
            raise ProductError(
                f"Line {self.n_lines} is a conflict marker of git",
                where=log,
                remedy="Delete the lines <<<<<<<, ======= and >>>>>>>, and leave those between them: the latest wins.",
            )
        try:
            return Decision.model_validate_json(line)
        except ValidationError as error:
            if is_cut_off(line):
                self.cut_off.append(self.n_lines)
                return None
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            why = f"`{field}`: {first['msg']}" if field else first["msg"]
            raise ProductError(
                f"Line {self.n_lines} is no decision: {why.replace('Value error, ', '')}",
                where=log,
                remedy='Write {"path": "class/photo.jpg", "action": "drop"}, or keep, or relabel with a label.',
            ) from error


@dataclass(frozen=True, slots=True)
class Standing:
    """The decisions that count, and how many do not, by reason."""

    decisions: pl.DataFrame  # path, action, label, reviewer
    ignored: dict[str, int]


def folder_name(label: str) -> str:
    """The label, which could be the name of a class folder. Raises ValueError for what could not."""
    is_one = (
        label == label.strip() and label.isprintable() and not set(label) & set("/\\") and not label.startswith(".")
    )
    if not is_one or not 0 < len(label.encode()) <= MAX_LABEL_BYTES:
        raise ValueError("a label is the name of a class folder: letters, digits, spaces; no slash, no dot in front")
    return label


def moment_of(time: str) -> datetime:
    """A time of the log as a moment. Raises ValueError."""
    moment = datetime.fromisoformat(time)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time is of the years 1 to 9999, in UTC as well") from error


def is_cut_off(line: bytes) -> bool:
    """Whether a line is the beginning of a JSON object whose end never reached the disk."""
    try:
        from_json(line.decode(errors="ignore"))  # the cut may be inside a letter
    except ValueError as error:
        return line.startswith(b"{") and str(error).startswith("EOF")
    return False


def read_log(log: Path) -> Tally:
    """All that a log says; nothing if there is none. Raises ProductError naming the first bad line."""
    tally = Tally()
    if log.exists():
        data = bytes_of_file(log)
        for _ in tally.read(data, log):
            pass
    return tally


def read_decisions(log: Path) -> pl.DataFrame:
    """The standing decision of each photo: path, action, label, reviewer, sha256. Raises ProductError."""
    return _table(read_log(log))


def standing_decisions(log: Path, photos: pl.DataFrame, *, is_sample: bool = False) -> Standing:
    """The decisions about `photos` (path, sha256); those about photos that are not among them or replaced do not count.

    `is_sample`: others may still be in the lake.
    """
    tally = read_log(log)
    known = _table(tally).join(photos.select("path", now="sha256"), on="path", how="left", maintain_order="left")
    known = known.with_columns(
        gone=pl.col("path").is_in(photos["path"].implode()).not_(),
        replaced=(pl.col("sha256") != "") & pl.col("now").is_not_null() & (pl.col("sha256") != pl.col("now")),
    )
    n_gone, n_replaced = int(known["gone"].sum()), int((known["replaced"] & ~known["gone"]).sum())
    gone = "photo is not in the sample" if is_sample else "photo is gone"
    reasons = {gone: n_gone, "photo was replaced": n_replaced, "line is cut off": len(tally.cut_off)}
    counting = known.filter(~pl.col("gone") & ~pl.col("replaced")).select("path", "action", "label", "reviewer")
    return Standing(counting, {reason: n for reason, n in reasons.items() if n})


def _table(tally: Tally) -> pl.DataFrame:
    return pl.DataFrame(
        [(d.path, d.action, d.label, d.reviewer, d.sha256) for d in tally.standing.values() if d.action != "undecide"],
        schema=_TYPES,
        orient="row",
    ).sort("path")
