"""Photos whose label is what somebody who used a model said of them, and nobody else."""

from __future__ import annotations

import polars as pl

from fledged.feedback import ENGINE, UNKNOWN
from fledged.reviewing.findings import findings_of

KIND = "feedback"


def feedback_findings(photos: pl.DataFrame) -> pl.DataFrame:
    """A row a photo that came from feedback, kind `feedback`, with the columns of findings.

    What the model had answered is the suggestion, where it is another class. Photos that show none of the classes, as
    somebody said, are advised to be dropped; of all others a person has to say.
    """
    claimed = photos.filter(pl.col("engine").fill_null("") == ENGINE, pl.col("error").is_null())
    # Snapshots of before there was feedback have no such column, and no such photo.
    answered = pl.col("answered") if "answered" in photos.columns else pl.lit(None, pl.String)
    other = pl.when((answered != UNKNOWN) & (answered != pl.col("label"))).then(answered)
    advice = pl.when(pl.col("label") == UNKNOWN).then(pl.lit("drop")).otherwise(pl.lit("look"))
    return findings_of(KIND, claimed.with_columns(suggested_label=other), advice)
