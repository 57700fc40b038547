"""What became of each address and file that was tried: `.collect/attempts.jsonl` in the lake, the last line wins.

    {"key": "https://…", "outcome": "fetched", "sha256": "3f2a91…", "path": "owl/3f2a91.jpg", …}
    {"key": "https://…", "outcome": "refused", "reason": "HTTP 404"}

What was fetched or refused for good is not asked again; what failed for the moment is not in here, so it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType

from fledged.collecting.journal import Journal, read_lines
from fledged.provenance import STATE_FOLDER


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome for one address, or one file at one size and time; there may be millions."""

    key: str
    outcome: str  # "fetched" or "refused"
    sha256: str | None = None
    path: str | None = None  # one place in the lake that has it
    content_type: str | None = None
    fetched_at: str | None = None
    reason: str = ""
    detail: str = ""


_FIELDS = tuple(field.name for field in fields(Attempt))


class Attempts:
    """The outcomes so far."""

    def __init__(self, lake: Path, *, retry_failed: bool = False) -> None:
        path = lake / STATE_FOLDER / "attempts.jsonl"
        self._journal = Journal(path)
        self._known: dict[str, Attempt] = {}
        for line in read_lines(path):
            if (attempt := _attempt(line)) is not None:
                self._known[attempt.key] = attempt
        if retry_failed:
            self._known = {key: known for key, known in self._known.items() if known.outcome == "fetched"}

    def of(self, key: str) -> Attempt | None:
        """What became of it; None if it is to be tried."""
        return self._known.get(key)

    def add(self, attempt: Attempt) -> None:
        """Remember an outcome."""
        self._known[attempt.key] = attempt
        told = {name: value for name, value in asdict(attempt).items() if value}
        self._journal.append(json.dumps(told, ensure_ascii=False))

    def __enter__(self) -> Attempts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._journal.__exit__(kind, error, _)


def _attempt(line: Mapping[str, object]) -> Attempt | None:
    """A line as an attempt; None if it says none, and is tried again."""
    told = {name: line[name] for name in _FIELDS if name in line}
    if not all(isinstance(value, str) for value in told.values()) or not told.get("key"):
        return None
    return Attempt(**told) if told.get("outcome") in ("fetched", "refused") else None  # type: ignore[arg-type]
