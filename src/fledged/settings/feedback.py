"""Settings of the feedback that a server takes: unit, range, default and reason."""

from __future__ import annotations

from pydantic import Field

from fledged.records import Record


class FeedbackConfig(Record):
    """POST /feedback: people say what a photo really shows, and the server keeps both."""

    folder: str = Field("", description="Where photos and what was said of them are kept; empty, the default, is off.")
    max_megabytes: float = Field(
        1000, gt=0, description="Of that folder; more feedback is answered 507, so that nobody can fill the disk."
    )
