"""A table that only grows, in parts: what was computed for a photo once, and is asked for again by its key.

Each part is a Parquet file named by the keys in it, so nothing is ever written twice and nobody waits for a writer. A
part that is damaged, or cannot be read, costs time, not correctness: what was in it is computed again. It is left out
by whoever looks, even if that is for a moment alone, so that what was there once may be missing the next time.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fledged.errors import WorkspaceError, naming
from fledged.sealed import is_intact, write_sealed


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts in a folder; `key` is the column that tells photos apart."""

    folder: Path
    key: str

    def known(self, types: Mapping[str, type[pl.DataType]], *, all_of_them: bool = False) -> pl.DataFrame:
        """These columns of all parts, a row a key, and `part`, where it is. Damaged parts are removed.

        With `all_of_them` it raises OSError where one cannot be read, for who would not compute it again.
        """
        suppressed = () if all_of_them else (OSError,)
        for path in self.folder.glob("*.parquet"):
            with contextlib.suppress(*suppressed):
                if not is_intact(path):
                    path.unlink()
        parts = [part.select(*types, part=pl.lit(name)) for name, part in self._scan(left_out=suppressed)]
        empty = pl.DataFrame(schema={**types, "part": pl.String})
        with naming(self.folder):
            return pl.concat(parts).collect().unique(self.key, keep="first", maintain_order=True) if parts else empty

    def rows_of(self, keys: pl.Series, *columns: str, among: Iterable[str] | None = None) -> Iterator[pl.DataFrame]:
        """Part by part, these columns of the keys that are in it, and `row`, their places in `keys`.

        Of parts that `known` has just looked through: whether they are damaged is not asked again.
        `among` are the parts that hold them, where the caller knows: to look into all of them for a few keys at a time
        would take time that grows with the square of the photos.
        """
        wanted = pl.DataFrame({self.key: keys, "row": np.arange(len(keys), dtype=np.int64)})
        for _, part in self._scan(among):
            # The keys first: the other columns may be large, and most parts may hold nothing that is wanted.
            with naming(self.folder):
                found = wanted.join(part.select(self.key).collect(), on=self.key, how="semi")
                if found.is_empty():
                    continue
                rows = found.join(part.select({self.key, *columns}).collect(), on=self.key).select("row", *columns)
            yield rows

    def all_of(self, keys: pl.Series, *columns: str) -> Iterator[pl.DataFrame]:
        """As `rows_of`, of keys that all are in some part. Raises WorkspaceError after the last, if some were not."""
        is_there = np.zeros(len(keys), bool)
        for found in self.rows_of(keys, *columns):
            is_there[found["row"].to_numpy()] = True
            yield found
        if not is_there.all():
            what = "A part of what was cached is gone, or cannot be read"
            raise WorkspaceError(what, where=self.folder, remedy="Run the same command again.")

    def add(self, rows: pl.DataFrame) -> None:
        """Keep these rows (one a key, none of which is known) as a new part."""
        name = hashlib.sha256("".join(rows[self.key]).encode()).hexdigest()[:16]
        write_sealed(self.folder / f"{name}.parquet", rows)

    def _scan(
        self, among: Iterable[str] | None = None, left_out: tuple[type[OSError], ...] = (OSError,)
    ) -> Iterator[tuple[str, pl.LazyFrame]]:
        names = sorted(path.name for path in self.folder.glob("*.parquet")) if among is None else sorted(among)
        for name in names:
            try:
                with naming(self.folder / name):
                    part = pl.scan_parquet(self.folder / name)
                    part.collect_schema()
            except pl.exceptions.PolarsError:
                continue
            except left_out:
                continue
            yield name, part
