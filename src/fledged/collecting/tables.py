"""Lists and tables of photos: a text file of addresses, a CSV manifest, Hugging Face Parquet files.

image_path,label,group,split      the CSV; `url` in place of `image_path`; only the label is always needed
barn/1.jpg,owl,nest 7,train
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from fledged import regular
from fledged.collecting.offers import (
    Link,
    Offer,
    Offers,
    Photo,
    Refusal,
    Refused,
    clean_label,
    clean_split,
    printable,
    refused,
)
from fledged.errors import ConfigError

# What people call the columns; the first is what we call them.
_COLUMNS = {
    "image_path": ("image_path", "path", "file", "file_name", "filename", "filepath", "image"),
    "url": ("url", "image_url", "source_url", "link"),
    "label": ("label", "class", "class_name", "category"),
    "group": ("group", "group_id", "user_group"),
    "split": ("split", "lake_split", "subset"),
}


def read_url_list(path: Path, label: str) -> list[Offer]:
    """Links to photos of a class: an address a line; empty lines and those that begin with # do not count."""
    lines = [line.strip() for line in _text(path).replace("\r", "\n").split("\n")]
    return [Link(line, label, engine=path.name) for line in lines if line and not line.startswith("#")]


def open_csv(path: Path, label: str, max_bytes: int) -> Offers:
    """The photos that a manifest names, by files (relative to its folder) or addresses.

    With `label`, rows without a label are of that class and rows of other labels are left out. Raises ConfigError if
    it is no table with the columns that are needed.
    """
    rows, columns = _rows(path)
    if not columns.keys() & {"image_path", "url"} or not (label or "label" in columns):
        needed = "image_path or url" if label else "label, and image_path or url"
        raise ConfigError(
            "This table has not the columns that are needed",
            where=path,
            remedy=f"Its first line must name the columns {needed}; group and split may follow.",
        )
    offers = [_of_row(number, row, columns, path, label, max_bytes) for number, row in rows]
    kept = [offer for offer in offers if not label or offer.label in (label, None)]
    return Offers(len(kept), kept)


def _text(path: Path) -> str:
    try:
        return regular.read(path).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"Cannot be read: {error.strerror}", where=path, remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigError("This is not UTF-8 text", where=path, remedy="Save it as UTF-8.") from error


def _rows(path: Path) -> tuple[list[tuple[int, list[str]]], dict[str, int]]:
    """The rows with their line numbers, and where each known column is."""
    text = _text(path)
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ConfigError(f"Line {reader.line_num} is not CSV: {error}", where=path, remedy="Mend it.") from error
    names = [name.strip().lower() for name in rows[0][1]] if rows else []
    columns = {}
    for known, spellings in _COLUMNS.items():
        found = next((names.index(spelling) for spelling in spellings if spelling in names), None)
        if found is not None:
            columns[known] = found
    return [(number, row) for number, row in rows[1:] if any(cell.strip() for cell in row)], columns


def _of_row(
    number: int, row: list[str], columns: Mapping[str, int], path: Path, label: str, max_bytes: int
) -> Photo | Link | Refused:
    cells = {name: row[place].strip() if place < len(row) else "" for name, place in columns.items()}
    file, url, group = cells.get("image_path", ""), cells.get("url", ""), cells.get("group") or None
    try:
        own = clean_label(cells.get("label", "") or label)
        split = clean_split(cells.get("split", ""))
        if file.lower().startswith(("http://", "https://")):
            file, url = "", url or file
        if file:
            read = partial(read_file, _named(path.parent, file), max_bytes)
            return Photo(file, own, read, split=split, group=group, origin=path.name)
        if url:
            return Link(url, own, split=split, group=group, engine=path.name)
        raise Refusal("names no photo", "both image_path and url are empty")
    except Refusal as why:
        return refused(f"{path.name}: line {number}", None, why)


def _named(folder: Path, name: str) -> Path:
    """The file of a manifest, which may have been written on Windows."""
    as_written, with_slashes = folder / name, folder / name.replace("\\", "/")
    return with_slashes if "\\" in name and not _is_there(as_written) else as_written


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file. Raises Refusal."""
    try:
        if not path.is_file():
            raise Refusal("there is no such file" if not path.exists() else "not a regular file")
        if path.stat().st_size > max_bytes:
            raise Refusal("too large", f"over {max_bytes / 2**20:g} MB")
        return regular.read(path)
    except (OSError, ValueError) as error:
        raise Refusal("cannot be read", printable(getattr(error, "strerror", None) or str(error))) from error
