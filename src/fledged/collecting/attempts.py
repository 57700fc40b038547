"""What became of each address and file that was tried: `.collect/attempts.jsonl` in the lake, the last line wins.

    {"key": "https://…", "outcome": "fetched", "sha256": "3f2a91…", "path": "owl/3f2a91.jpg", …}
    {"key": "https://…", "outcome": "refused", "reason": "HTTP 404"}

What was fetched or refused for good is not asked again; what failed for the moment is not in here, so it is.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal

from pydantic import ConfigDict, ValidationError

from fledged.collecting.journal import Journal, read_lines
from fledged.config import Record
from fledged.provenance import STATE_FOLDER


class Attempt(Record):
    """The outcome for one address, or one file at one size and time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    outcome: Literal["fetched", "refused"]
    sha256: str | None = None
    path: str | None = None  # one place in the lake that has it
    content_type: str | None = None
    fetched_at: str | None = None
    reason: str = ""
    detail: str = ""


class Attempts:
    """The outcomes so far."""

    def __init__(self, lake: Path, *, retry_failed: bool = False) -> None:
        path = lake / STATE_FOLDER / "attempts.jsonl"
        self._journal = Journal(path)
        self._known: dict[str, Attempt] = {}
        for line in read_lines(path):
            try:
                attempt = Attempt.model_validate(line)
            except ValidationError:
                continue  # tried again
            self._known[attempt.key] = attempt
        if retry_failed:
            self._known = {key: known for key, known in self._known.items() if known.outcome == "fetched"}

    def of(self, key: str | None) -> Attempt | None:
        """What became of it; None if it is to be tried."""
        return self._known.get(key) if key else None

    def add(self, attempt: Attempt) -> None:
        """Remember an outcome."""
        self._known[attempt.key] = attempt
        self._journal.append(attempt.model_dump_json(exclude_defaults=True))

    def __enter__(self) -> Attempts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._journal.__exit__(kind, error, _)
