"""Photos out of the Parquet files of Hugging Face `datasets`, which `fledged prepare` writes too.

The image is a struct of bytes and path; the label a number, whose names are in the file's metadata, or a text.
https://huggingface.co/docs/datasets/about_dataset_features
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fledged.collecting.offers import Offer, Offers, Photo, Refusal, Refused, clean_label, printable, refused
from fledged.errors import ConfigError, LakeError
from fledged.products import SPLIT_FOLDERS, Split

# Photos are held this many at a time.
_BATCH = 32
_LABELS = ("label", "labels", "class", "fine_label")
_GROUPS = ("group", "group_id")


@dataclass(frozen=True, slots=True)
class _Columns:
    image: str
    label: str | None
    names: list[str] | None  # of a ClassLabel
    group: str | None


def holding_photos(files: list[Path]) -> tuple[list[Path], list[Refused]]:
    """Those of these files of a folder that have a column of photos, and why the others are not read."""
    tables, others = [], []
    for path in files:
        try:
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:  # it may be on its way still
            damaged = Refusal("the table is damaged", printable(" ".join(str(error).split())[:200]), again=True)
            others.append(refused(path.name, None, damaged))
            continue
        if _image_column(schema, _features(schema)) is None:
            others.append(Refused(path.name, None, "a table without photos", f"it has: {', '.join(schema.names)}"))
        else:
            tables.append(path)
    return tables, others


def open_parquet(files: list[Path], label: str) -> Offers:
    """The photos of these files, one split each as their names say. Raises LakeError or ConfigError."""
    columns = {path: _columns(path, label) for path in files}
    splits = {path: _split_of(path) for path in files}
    # A data set of one part only has no split worth keeping folders for.
    keep = len(set(splits.values())) > 1 and all(splits.values())

    def offers() -> Iterator[Offer]:
        for path in files:
            yield from _photos(path, columns[path], label, splits[path] if keep else None)

    return Offers(sum(pq.read_metadata(path).num_rows for path in files), offers())


def _columns(path: Path, label: str) -> _Columns:
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"This Parquet file cannot be read: {error}", where=path, remedy="Copy it again.") from error
    features = _features(schema)
    image = _image_column(schema, features)
    labelled = [n for n in schema.names if features.get(n, {}).get("_type") == "ClassLabel"]
    of_photo = next(iter(labelled), None) or next((n for n in _LABELS if n in schema.names), None)
    if image is None or (of_photo is None and not label):
        raise ConfigError(
            f"This table has no column of {'photos' if image is None else 'labels'}",
            where=path,
            remedy=f"It has: {', '.join(schema.names)}. Photos are a struct of bytes and path, labels a ClassLabel"
            " or text; photos without labels need --label CLASS.",
        )
    names = features.get(of_photo, {}).get("names") if of_photo else None
    return _Columns(image, of_photo, names, next((n for n in _GROUPS if n in schema.names), None))


def _image_column(schema: pa.Schema, features: dict[str, Any]) -> str | None:
    declared = (name for name in schema.names if features.get(name, {}).get("_type") == "Image")
    return next(declared, None) or next((n for n in schema.names if _holds_bytes(schema.field(n).type)), None)


def _features(schema: pa.Schema) -> dict[str, Any]:
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: kind for name, kind in features.items() if isinstance(kind, dict)}


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0) or bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    )


def _photos(path: Path, columns: _Columns, label: str, split: Split | None) -> Iterator[Offer]:
    wanted = [name for name in (columns.image, columns.label, columns.group) if name]
    row = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=wanted):
                for cells in batch.to_pylist():
                    row += 1
                    yield _offer(f"{path.name}: row {row}", cells, columns, label, split, path.name)
    except (OSError, pa.ArrowException) as error:
        damaged = Refusal("the table is damaged", printable(" ".join(str(error).split())[:200]))
        yield refused(f"{path.name}: after row {row}", None, damaged)


def _offer(what: str, cells: dict[str, Any], columns: _Columns, label: str, split: Split | None, origin: str) -> Offer:
    image = cells[columns.image]
    data, name = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    try:
        own = label or clean_label(_label(cells.get(columns.label or ""), columns.names))
        if data is None:
            raise Refusal("names no photo", f"its bytes are elsewhere: {name}" if name else "its bytes are empty")
        group = cells.get(columns.group or "")
        group = None if group is None else str(group)
        return Photo(str(name or what), own, partial(bytes, data), split=split, group=group, origin=origin)
    except Refusal as why:
        return refused(what, None, why)


def _label(value: object, names: list[str] | None) -> str:
    if names is not None and isinstance(value, int):
        # -1 is `datasets`' word for unknown.
        if not 0 <= value < len(names):
            raise Refusal("no class", f"its number is {value}")
        return str(names[value])
    return "" if value is None else str(value)


def _split_of(path: Path) -> Split | None:
    """As `datasets` reads it from `train-00000-of-00002.parquet`, `data/test.parquet` or `test/0000.parquet`."""
    words = [path.parent.name.lower(), *path.stem.lower().replace("_", "-").replace(".", "-").split("-")]
    return next((SPLIT_FOLDERS[word] for word in reversed(words) if word in SPLIT_FOLDERS), None)
