"""What is different: between two snapshots of a lake, and between a snapshot and the lake as it lies there now."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

import polars as pl

from fledged import places
from fledged.errors import LakeError, ProductError, naming
from fledged.product_files import open_product
from fledged.products import Snapshot
from fledged.scanning.walk import sampled, walk
from fledged.workspace import Workspace

KINDS = ("added", "removed", "changed", "moved", "renamed")

_LOG = logging.getLogger(__name__)
_TYPES = {"kind": pl.String, "path": pl.String, "previous_path": pl.String}


@dataclass(frozen=True, slots=True)
class Since:
    """Photos that were added, changed (size or time) or vanished since a snapshot."""

    added: int
    changed: int
    vanished: int

    def __str__(self) -> str:
        parts = [f"{n:,} {what}" for what in ("added", "changed", "vanished") if (n := getattr(self, what))]
        words = ", ".join(parts)
        # "3 photos added, 1 changed": the noun stands once.
        return words.replace(" ", " photo " if words.startswith("1 ") else " photos ", 1)


def since(snapshot: Snapshot) -> Since:
    """How the lake differs from its snapshot by size and time alone: no photo is opened (100,000 in about a second).

    Of a lake that is not there, every photo has vanished.
    """
    before = snapshot.photos(["path", "n_bytes", "mtime_ns"])
    try:
        now = sampled(walk(snapshot.lake).photos, snapshot.sample)
    except LakeError:
        if places.is_remote(snapshot.lake):
            raise  # a bucket that does not answer is no empty one
        return Since(0, 0, before.height)
    both = now.join(before, on="path", how="inner", suffix="_before")
    changed = both.filter(
        (pl.col("n_bytes") != pl.col("n_bytes_before")) | (pl.col("mtime_ns") != pl.col("mtime_ns_before"))
    )
    return Since(now.height - both.height, changed.height, before.height - both.height)


def warn_of_changes(snapshot: Snapshot) -> None:
    """One line in the log if the lake is no longer what the snapshot says."""
    seen = since(snapshot)
    if seen != Since(0, 0, 0):
        _LOG.warning("Since snapshot %s: %s; fledged scan %s sees them", snapshot.id, seen, snapshot.lake)


def newest(workspace: Workspace, lake: str, sample: int = 0) -> Snapshot | None:
    """The last snapshot of all of this lake, or of a sample of so many photos, that can still be read."""
    records = []
    last = workspace.newest(Snapshot)  # also where the clock has jumped back since
    for path in workspace.records(Snapshot):
        try:
            with naming(path):
                record = json.loads(path.read_bytes())
            of_sample = record["n_photos"] if record.get("n_beyond_sample") else 0
            if (record["lake"], record["version"], of_sample) == (lake, Snapshot.format_version, sample):
                # Records tell seconds; the file's time decides between scans within one.
                when = (str(record["created_at"]), path.stat().st_mtime_ns)
                records.append((path.parent == last, *when, path.parent))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue  # a damaged record is nobody's past
    for *_, folder in sorted(records, reverse=True):
        try:
            return open_product(Snapshot, folder)
        except ProductError:
            continue
    return None


def difference(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """A row a change: kind (one of KINDS), path, previous_path.

    Both tables need path, label, sha256, n_bytes and error. A photo is moved when its content now lies under another
    label, and renamed when it has another path under the same one. The previous path of an added photo and the path
    of a removed one are null. A copy of a photo that stayed is added.
    """
    both = before.join(after, on="path", how="inner", suffix="_now")
    relabelled = both.filter((pl.col("label") != pl.col("label_now")) & _same("sha256"))
    # A file without a hash could not be read; then size and reason tell.
    changed = both.filter(
        pl.when(pl.any_horizontal(pl.col("sha256").is_null(), pl.col("sha256_now").is_null()))
        .then((_same("sha256") & _same("n_bytes") & _same("error")).not_())
        .otherwise(_same("sha256").not_())
    )
    gone = before.join(after, on="path", how="anti")
    new = after.join(before, on="path", how="anti")
    renamed, gone, new = _paired(gone, new, ["sha256", "label"])
    moved, gone, new = _paired(gone, new, ["sha256"])
    return pl.concat(
        [
            _rows("added", new["path"], None),
            _rows("removed", None, gone["path"]),
            _rows("changed", changed["path"], changed["path"]),
            _rows("moved", relabelled["path"], relabelled["path"]),
            _rows("moved", moved["path_now"], moved["path"]),
            _rows("renamed", renamed["path_now"], renamed["path"]),
        ]
    ).sort("kind", "path", "previous_path")


def counted(changes: pl.DataFrame) -> dict[str, int]:
    """Changes by kind, in the order of KINDS; without those that did not happen."""
    n_by_kind = dict(changes.group_by("kind").len().rows())
    return {kind: n_by_kind[kind] for kind in KINDS if kind in n_by_kind}


def no_changes() -> pl.DataFrame:
    """The table of a first scan."""
    return pl.DataFrame(schema=_TYPES)


def _same(column: str) -> pl.Expr:
    return pl.col(column).eq_missing(pl.col(f"{column}_now"))


def _paired(gone: pl.DataFrame, new: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Pairs (path, path_now) of equal keys, each photo in one pair at most, and what is left of both sides."""
    number = pl.int_range(pl.len()).over(keys).alias("number")  # copies are paired in the order of their paths
    old = gone.sort("path").with_columns(number)
    now = new.sort("path").with_columns(number).rename({"path": "path_now"})
    pairs = old.join(now.select("path_now", *keys, "number"), on=[*keys, "number"], how="inner")
    return (
        pairs.select("path", "path_now"),
        gone.join(pairs, on="path", how="anti"),
        new.join(pairs, left_on="path", right_on="path_now", how="anti"),
    )


def _rows(kind: str, path: pl.Series | None, previous_path: pl.Series | None) -> pl.DataFrame:
    length = len(path if path is not None else previous_path if previous_path is not None else [])
    empty = pl.Series([None] * length, dtype=pl.String)
    return pl.DataFrame(
        {
            "kind": pl.Series([kind] * length, dtype=pl.String),
            "path": empty if path is None else path,
            "previous_path": empty if previous_path is None else previous_path,
        },
        schema=_TYPES,
    )
