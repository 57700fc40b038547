"""Where photos came from: `provenance.jsonl` in the lake, a line a photo, which `fledged collect` appends to.

    {"path": "owl/3f2a91.jpg", "sha256": "3f2a91…", "source_url": "https://…", "query": "barn owl night", …}

A line counts for the file of that path and content only, so a replaced photo does not inherit a wrong origin. The
last line of a path and content wins. The file may be written by hand: only `path` is needed, and `group` alone is
enough to keep photos together that belong together.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from pydantic import ConfigDict, ValidationError

from fledged.config import Record
from fledged.errors import LakeError

FILE_NAME = "provenance.jsonl"


class Provenance(Record):
    """Where one photo came from; what is unknown is None."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str  # relative to the lake, with /
    sha256: str | None = None  # of the content that this line is about; None: whatever lies there
    source_url: str | None = None
    query: str | None = None  # what was searched for
    engine: str | None = None  # search engine, archive or table that named the photo
    fetched_at: str | None = None  # ISO 8601, UTC
    content_type: str | None = None  # as the server said
    original_name: str | None = None  # before it was named by its content
    group: str | None = None  # photos of one group never go to two splits


COLUMNS = ("source_url", "query", "engine", "fetched_at", "content_type", "original_name", "user_group")


def read_provenance(lake: Path) -> list[Provenance]:
    """Every line of the lake's `provenance.jsonl`. Raises LakeError naming the first bad line.

    A last line without an end is one that a crash cut off, and is left out.
    """
    log = lake / FILE_NAME
    try:
        text = log.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise LakeError(f"Cannot be read: {error}", where=log, remedy="Mend or move the file.") from error
    lines = text.split("\n")
    known = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            known.append(Provenance.model_validate_json(line))
        except ValidationError as error:
            if number == len(lines):
                continue
            raise LakeError(
                f"Line {number} says not where a photo came from: {error.errors()[0]['msg']}",
                where=log,
                remedy='Write {"path": "class/photo.jpg", "source_url": "https://…"}, or remove the line.',
            ) from error
    return known


def with_provenance(photos: pl.DataFrame, known: list[Provenance]) -> pl.DataFrame:
    """The photos with the columns of COLUMNS; null where nothing is known."""
    last: dict[tuple[str, str | None], Provenance] = {(line.path, line.sha256): line for line in known}
    of_photos = [
        last.get((path, sha256)) or last.get((path, None)) for path, sha256 in photos.select("path", "sha256").rows()
    ]
    values = {
        name: pl.Series(name, [getattr(line, name) if line else None for line in of_photos], pl.String)
        for name in COLUMNS[:-1]
    }
    group = pl.Series("user_group", [line.group if line else None for line in of_photos], pl.String)
    return photos.with_columns(**values, user_group=group)
