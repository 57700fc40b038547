"""Where photos came from: `provenance.jsonl` in the lake, a line a photo, which `fledged collect` appends to.

    {"path": "owl/3f2a91.jpg", "sha256": "3f2a91…", "source_url": "https://…", "query": "barn owl night", …}

A line counts for the file of that path and content only, so a replaced photo does not inherit a wrong origin. The
last line of a path and content wins. The file may be written by hand: only `path` is needed, and `group` alone is
enough to keep photos together that belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from fledged import places
from fledged.errors import LakeError
from fledged.records import Record

FILE_NAME = "provenance.jsonl"
# What `fledged collect` remembers of its attempts lies in this folder of the lake.
STATE_FOLDER = ".collect"
# Ends a line that a crash cut off, once something was appended after it: such a line stays, and is not read.
TORN = b" # cut off by a crash"


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
    answered: str | None = None  # by a model, of a photo that came with feedback on its answer
    group: str | None = None  # photos of one group never go to two splits


def read_provenance(lake: str | Path) -> Iterator[Provenance]:
    """Every line of the lake's `provenance.jsonl`. Raises LakeError naming the first bad line.

    A last line without an end is one that a crash cut off, and is left out.
    """
    log = places.join(str(lake), FILE_NAME)
    try:
        with places.opened(log) as file:
            yield from _lines(file, log)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LakeError(f"Cannot be read: {error.strerror}", where=log, remedy="Mend or move the file.") from error


def _lines(file: Iterable[bytes], log: str) -> Iterator[Provenance]:
    for number, line in enumerate(file, start=1):
        if not line.strip() or line.rstrip(b"\n").endswith(TORN):
            continue
        try:
            known = Provenance.model_validate_json(line)
        except ValidationError as error:
            if not line.endswith(b"\n"):
                return
            raise LakeError(
                f"Line {number} says not where a photo came from: {error.errors()[0]['msg']}",
                where=log,
                remedy='Write {"path": "class/photo.jpg", "source_url": "https://…"}, or remove the line.',
            ) from error
        yield known
