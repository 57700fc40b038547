"""The origin of each photo as columns of the snapshot."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from fledged.provenance import Provenance

COLUMNS = ("source_url", "query", "engine", "fetched_at", "content_type", "original_name", "user_group")


def with_provenance(photos: pl.DataFrame, known: Iterable[Provenance]) -> pl.DataFrame:
    """The photos with the columns of COLUMNS; null where nothing is known."""
    last: dict[tuple[str, str | None], Provenance] = {(line.path, line.sha256): line for line in known}
    of_photos = [
        last.get((path, sha256)) or last.get((path, None)) for path, sha256 in photos.select("path", "sha256").rows()
    ]
    values = {
        name: pl.Series(name, [getattr(line, name) if line else None for line in of_photos], pl.String)
        for name in COLUMNS[:-1]
    }
    values["answered"] = pl.Series("answered", [line.answered if line else None for line in of_photos], pl.String)
    group = pl.Series("user_group", [line.group if line else None for line in of_photos], pl.String)
    return photos.with_columns(**values, user_group=group)
