"""Shrunk copies of the photos in Parquet shards, which Hugging Face `datasets` reads as images with labels."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from fledged.products import Split
from fledged.writing import write

# About 100 MB of photos at a shorter side of 256 px.
PHOTOS_PER_SHARD = 4096


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
