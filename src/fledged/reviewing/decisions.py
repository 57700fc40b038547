"""People's decisions about photos: an append-only log, one JSON object a line, the last one of a photo wins.

    {"path": "hawks/12.jpg", "action": "relabel", "label": "eagles", "reviewer": "ana", "time": "2026-11-21T10:00:00Z"}

The lake itself is never touched. The file can be edited, merged and kept in git.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import ValidationError, model_validator

from fledged.config import Record
from fledged.errors import ProductError


class Decision(Record):
    """What somebody decided about one photo."""

    path: str  # relative to the lake
    action: Literal["keep", "drop", "relabel"]
    label: str | None = None  # of action "relabel"
    reviewer: str = ""
    time: str = ""

    @model_validator(mode="after")
    def _label_of_relabel(self) -> Decision:
        if (self.action == "relabel") != bool(self.label):
            raise ValueError("a label belongs to the action relabel, and only to it")
        return self


def read_decisions(log: Path) -> pl.DataFrame:
    """The last decision of each photo: path, action, label. Raises ProductError naming the first bad line."""
    last: dict[str, Decision] = {}
    if log.exists():
        for number, line in enumerate(log.read_text().splitlines(), start=1):
            if not line.strip():
                continue
            try:
                decision = Decision.model_validate_json(line)
            except ValidationError as error:
                raise ProductError(
                    f"Line {number} is no decision: {error.errors()[0]['msg']}",
                    where=log,
                    remedy='Write {"path": "class/photo.jpg", "action": "drop"}, or keep, or relabel with a label.',
                ) from error
            last[decision.path] = decision
    return pl.DataFrame(
        [(d.path, d.action, d.label) for d in last.values()],
        schema={"path": pl.String, "action": pl.String, "label": pl.String},
        orient="row",
    ).sort("path")
