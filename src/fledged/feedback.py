"""What people who used a model said of its answers: a folder that the server fills and `fledged collect` reads.

    <folder>/feedback.jsonl       a line each time that somebody said what a photo really shows; only appended to
    <folder>/photos/<sha256>.jpg  the photos, named by their content; none is ever overwritten

    {"time": "2026-11-21T10:00:00Z", "sha256": "3f2a91…", "said": "owl", "answered": "hawk", "confidence": 0.61, …}

What is said is a claim by somebody unknown. It becomes a label only when a person agrees in the review.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from fledged import regular
from fledged.errors import LakeError
from fledged.records import Record

LOG, PHOTOS = "feedback.jsonl", "photos"
UNKNOWN = "unknown"  # said or answered: none of the classes
ENGINE = "feedback"  # what provenance names as the finder of such a photo


class Feedback(Record):
    """What somebody said about one photo."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: str  # ISO 8601, UTC
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    said: str = Field(min_length=1)  # one of the bundle's classes, or UNKNOWN
    answered: str  # by the model: the class, or UNKNOWN where it refused the photo
    confidence: float
    bundle_id: str

    def line(self) -> bytes:
        """As it stands in the log, with the newline."""
        return self.model_dump_json().encode() + b"\n"


def is_feedback(folder: Path) -> bool:
    """Whether this is a folder that a server filled."""
    return (folder / LOG).is_file()


def read_feedback(folder: Path) -> Iterator[Feedback]:
    """Every line of the log, oldest first. Raises LakeError naming the first bad line.

    A line that a crash cut off is left out.
    """
    log = folder / LOG
    try:
        lines = regular.read(log).split(b"\n")
    except OSError as error:
        raise LakeError(f"Cannot be read: {error.strerror}", where=log, remedy="Mend or move the file.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            said = Feedback.model_validate_json(line)
        except ValidationError as error:
            if not line.endswith(b"}"):
                continue
            first = error.errors()[0]
            raise LakeError(
                f"Line {number} is no feedback: `{'.'.join(map(str, first['loc']))}`: {first['msg']}",
                where=log,
                remedy="Mend or remove the line.",
            ) from error
        yield said
