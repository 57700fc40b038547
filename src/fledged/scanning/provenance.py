"""The origin of each photo as columns of the snapshot."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import polars as pl

from fledged.provenance import Provenance

COLUMNS = ("source_url", "query", "engine", "fetched_at", "content_type", "original_name", "user_group")

_KEYS = ("path", "sha256")
# Column of the snapshot -> field of a line.
_FIELDS = {name: name for name in (*COLUMNS[:-1], "answered")} | {"user_group": "group"}
_PART = 4096  # lines that are objects before they become columns


def with_provenance(photos: pl.DataFrame, known: Iterable[Provenance]) -> pl.DataFrame:
    """The photos with the columns of COLUMNS and `answered`; null where nothing is known."""
    lines = _table(known)
    if lines.is_empty():
        return photos.with_columns(pl.lit(None, pl.String).alias(name) for name in _FIELDS)
    last = lines.unique(_KEYS, keep="last", maintain_order=True)
    of_content = last.filter(pl.col("sha256").is_not_null()).with_columns(known=True)
    whatever = last.filter(pl.col("sha256").is_null()).drop("sha256")
    keys = photos.select(_KEYS)
    first = keys.join(of_content, on=_KEYS, how="left", maintain_order="left")
    second = keys.join(whatever, on="path", how="left", maintain_order="left")
    return photos.with_columns(
        pl.select(pl.when(first["known"]).then(first[name]).otherwise(second[name]).alias(name)).to_series()
        for name in _FIELDS
    )


def _table(known: Iterable[Provenance]) -> pl.DataFrame:
    """The lines as rows, in their order."""
    lines, fields = iter(known), (*_KEYS, *_FIELDS.values())
    schema = dict.fromkeys((*_KEYS, *_FIELDS), pl.String)
    parts = [pl.DataFrame(schema=schema)]
    while part := [tuple(getattr(line, field) for field in fields) for line in itertools.islice(lines, _PART)]:
        parts.append(pl.DataFrame(part, schema=schema, orient="row"))
    return pl.concat(parts)
