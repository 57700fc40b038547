"""Photos that give away where somebody was."""

from __future__ import annotations

import polars as pl


def gps_findings(photos: pl.DataFrame) -> pl.DataFrame:
    """A row a photo whose EXIF or XMP holds a place, kind `gps`, advice `look`, with the columns of findings.

    The lake's files keep it, as they keep everything; the shrunk copies in a dataset and all pages are without.
    """
    return photos.filter(pl.col("has_gps").fill_null(False)).select(
        kind=pl.lit("gps"),
        path=pl.col("path"),
        related_path=pl.lit(None, pl.String),
        suggested_label=pl.lit(None, pl.String),
        score=pl.lit(None, pl.Float64),
        threshold=pl.lit(None, pl.Float64),
        advice=pl.lit("look"),
    )
