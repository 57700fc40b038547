"""What is remembered of photos between scans, so that none that has not changed is read again."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import polars as pl

from fledged import places
from fledged.scanning import probe as probing
from fledged.scanning.walk import FOUND_TYPES
from fledged.sealed import is_intact
from fledged.settings.lake import ScanConfig
from fledged.workspace import Workspace

_UNSETTLED_NS = 3 * 10**9  # clocks of buckets and of this machine differ by some seconds at most

PROBE_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "sha256": pl.String,
    "format": pl.String,
    "width_px": pl.Int32,
    "height_px": pl.Int32,
    "orientation": pl.Int8,
    "n_frames": pl.Int32,
    "camera": pl.String,
    "taken_at": pl.String,
    "has_gps": pl.Boolean,
    "brightness": pl.Float32,
    "contrast": pl.Float32,
    "sharpness": pl.Float32,
    "entropy": pl.Float32,
    "flat_share": pl.Float32,
    "mean_rgb": pl.Array(pl.Float32, 3),
    "std_rgb": pl.Array(pl.Float32, 3),
    "phash": pl.UInt64,
    "phash_mirrored": pl.UInt64,
    "error": pl.String,
}
SAME = ["path", "n_bytes", "mtime_ns"]  # a file that is the same in these has not changed


def memory_of(root: str, config: ScanConfig, workspace: Workspace) -> Path:
    """The file with the probes of a lake's photos: path, n_bytes, mtime_ns and the columns of PROBE_TYPES."""
    key = "\n".join(map(str, (root, probing.VERSION, *limits(config))))
    return workspace.cache(f"probes/{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet")


def limits(config: ScanConfig) -> tuple[int, int]:
    """Pixels and bytes of a photo."""
    return int(config.max_megapixels * 1e6), int(config.max_megabytes * 2**20)


def to_remember(known: pl.DataFrame, root: str, start_ns: int) -> pl.DataFrame:
    """Without what may be another file the next time that looks the same, and what could not be read just now.

    Buckets tell seconds: an object that was written just now could be written again within the same one. And what could
    not be read from a bucket, for want of a permission or since it changed meanwhile, may be readable soon.
    """
    if not places.is_remote(root):
        return known.filter(
            ~pl.any_horizontal(*(pl.col("error").fill_null("").str.starts_with(w) for w in probing.PASSING))
        )
    settled = pl.col("mtime_ns") < start_ns - _UNSETTLED_NS
    return known.filter(settled & (pl.col("sha256").is_not_null() | pl.col("error").str.contains("over the limit")))


def remembered(files: list[Path]) -> pl.DataFrame:
    """What these files hold, a row a file of the lake; of two rows the later file's counts."""
    types = {name: FOUND_TYPES[name] for name in SAME} | PROBE_TYPES
    tables = [pl.DataFrame(schema=types)]
    for file in files:
        with suppress(OSError, pl.exceptions.PolarsError):
            # A memory that is damaged, or cannot be read, costs time, not correctness.
            if is_intact(file):
                tables.append(pl.read_parquet(file).select(*types))
    return pl.concat(tables).unique(SAME, keep="last", maintain_order=True) if len(tables) > 2 else tables[-1]
