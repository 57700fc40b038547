"""Shrunk copies of the photos in Parquet shards, which Hugging Face `datasets` reads as images with labels."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from fledged import engine, images
from fledged.config import PrepareConfig
from fledged.products import Split
from fledged.progress import Report
from fledged.workspace import write

# About 100 MB of photos at a shorter side of 256 px.
PHOTOS_PER_SHARD = 4096


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shrunk copy of a photo, or why there is none."""

    jpeg: bytes | None
    error: str | None


def shrink_file(path_and_sha256: tuple[str, str], shorter_side_px: int, jpeg_quality: int) -> Shrunk:
    """A small upright JPEG without metadata, if the file still is what was scanned. Runs in worker processes."""
    path, sha256 = path_and_sha256
    try:
        data = Path(path).read_bytes()
    except OSError:
        return Shrunk(None, "vanished since the scan")
    if hashlib.sha256(data).hexdigest() != sha256:
        return Shrunk(None, "changed since the scan")
    try:
        _, image = images.decode(data, at_least_px=int(shorter_side_px * images.REDUCING_GAP))
    except images.BadPhoto as reason:
        return Shrunk(None, f"unreadable: {reason}")
    return Shrunk(images.to_jpeg(images.shrink(image, shorter_side_px), jpeg_quality), None)


def shrink_all(members: pl.DataFrame, lake: Path, config: PrepareConfig, report: Report) -> Iterator[Shrunk]:
    """The shrunk copy of each member, in order."""
    return engine.map_photos(
        functools.partial(shrink_file, shorter_side_px=config.shorter_side_px, jpeg_quality=config.jpeg_quality),
        [(str(lake / path), sha256) for path, sha256 in members.select("path", "sha256").iter_rows()],
        on_crash=lambda _: Shrunk(None, "unreadable: its decoder crashed"),
        workers=config.workers,
        step="Shrinking photos",
        report=report,
    )


def write_shard(folder: Path, split: Split, number: int, rows: pl.DataFrame, classes: tuple[str, ...]) -> None:
    """One shard from rows of path, jpeg, class_index and sha256."""
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(classes), "_type": "ClassLabel"},
        "sha256": {"dtype": "string", "_type": "Value"},
    }
    schema = pa.schema(
        {
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            "label": pa.int64(),
            "sha256": pa.string(),
        },
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    images_of_rows = [{"bytes": jpeg, "path": path} for jpeg, path in rows.select("jpeg", "path").iter_rows()]
    table = pa.table([images_of_rows, rows["class_index"].to_list(), rows["sha256"].to_list()], schema=schema)
    # pyarrow and not Polars, whose files hide the metadata that names the features.
    write(
        folder / f"{split}-{number:05d}.parquet",
        lambda file: parquet.write_table(table, file, compression="none", row_group_size=512),
    )
