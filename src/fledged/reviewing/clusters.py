"""Photos of clusters that somebody wants gone, as findings: the review advises, and nothing is dropped by itself."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from fledged.errors import ConfigError


def cluster_findings(photos: pl.DataFrame, clusters: pl.DataFrame, wanted: Sequence[str]) -> pl.DataFrame:
    """A row a photo of a wanted cluster, kind `cluster`, advice `drop`, with the columns of findings.

    `wanted` are names such as size:4 or shape:1, `clusters` is `Snapshot.clusters()`. The score is the size in kB (of
    1,000 bytes), or the area in megapixels. Raises ConfigError if there is no such cluster.
    """
    table = photos.select("path", "n_bytes", "width_px", "height_px").join(clusters, on="path", how="left")
    megapixels = pl.col("width_px").cast(pl.Float64) * pl.col("height_px") / 1e6
    scores = {"size": pl.col("n_bytes") / 1e3, "shape": megapixels}
    found = []
    for name in dict.fromkeys(wanted):
        of, _, number = name.partition(":")
        rows = table.filter(pl.col(f"{of}_cluster") == int(number))
        if rows.is_empty():
            known = sorted(table[f"{of}_cluster"].drop_nulls().unique())
            raise ConfigError(
                f"There is no cluster `{name}`",
                where="--drop-cluster",
                remedy=f"The overview page shows {of}:1 to {of}:{known[-1]}." if known else "No photo could be read.",
            )
        found.append(rows.select("path", score=scores[of]))
    # A photo may lie in two wanted clusters; one finding is enough.
    paths = pl.concat(found).unique("path", keep="first", maintain_order=True) if found else _none()
    return paths.select(
        kind=pl.lit("cluster"),
        path=pl.col("path"),
        related_path=pl.lit(None, pl.String),
        suggested_label=pl.lit(None, pl.String),
        score=pl.col("score").cast(pl.Float64),
        threshold=pl.lit(None, pl.Float64),
        advice=pl.lit("drop"),
    )


def _none() -> pl.DataFrame:
    return pl.DataFrame(schema={"path": pl.String, "score": pl.Float64})
