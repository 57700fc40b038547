"""Shrunk copies of the photos in Parquet shards, which Hugging Face `datasets` reads as images with labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from fledged.errors import naming
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
    _write(table, folder / f"{split}-{number:05d}.parquet")


def copy_shard(shard: Path, to: Path, group_of: Mapping[str, str]) -> None:
    """A shard with one more column, `group`: of each photo, by its path, the key of the photos that belong together."""
    with naming(shard):
        table = parquet.read_table(shard)
    told = json.loads(table.schema.metadata[b"huggingface"])
    told["info"]["features"]["group"] = {"dtype": "string", "_type": "Value"}
    groups = [group_of.get(path) for path in table["image"].combine_chunks().field("path").to_pylist()]
    table = table.append_column("group", pa.array(groups, pa.string()))
    _write(table.replace_schema_metadata({**table.schema.metadata, b"huggingface": json.dumps(told).encode()}), to)


def _write(table: pa.Table, to: Path) -> None:
    # pyarrow and not Polars, whose files hide the metadata that names the features.
    write(to, lambda file: parquet.write_table(table, file, compression="none", row_group_size=512))
