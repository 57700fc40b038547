"""What `fledged predict` is asked about: files, folders, patterns, lists and tables of photos, each with its name."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fledged import naming_extras
from fledged.errors import ConfigError, RequestError
from fledged.formulas import value_of
from fledged.places import looks_remote, resolved
from fledged.predicting.files import find_photos, read
from fledged.predicting.many import Read
from fledged.reading import spots
from fledged.rows import Rows

Asked = tuple[str, Read]  # how the photo is called in its answer, and its bytes

STDIN = "-"
# A table may name photos in these: they answer to the user's own credentials only.
_BUCKETS = ("s3://", "gs://", "abfs://", "abfss://")
# What people call the column of a table that names the photos.
COLUMNS = ("image_path", "path", "file", "file_name", "filename", "filepath", "image")


def is_address(text: str) -> bool:
    """Whether this is the address of a photo on the web."""
    return text.lower().startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class Asking:
    """Photos from several sources, one after the other, each made when its turn comes."""

    parts: Sequence[Sequence[Asked]]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[Asked]:
        return itertools.chain.from_iterable(self.parts)


def photos_named(names: Sequence[str], stdin: Callable[[], bytes], fetch: Callable[[str], bytes]) -> Asking:
    """The photos behind the arguments of a command: files, folders, patterns, addresses, and "-" for stdin's bytes.

    Raises RequestError for a path or pattern behind which there is nothing.
    """
    parts: list[Sequence[Asked]] = []
    for name in names:
        if name == STDIN:
            parts.append([(name, stdin)])
        elif is_address(name):
            parts.append([(name, partial(fetch, name))])
        else:
            parts.append(_files(find_photos(_matches(name))))
    return Asking(parts)


def _files(found: Sequence[str]) -> Sequence[Asked]:
    def part(start: int, stop: int) -> list[Asked]:
        return [(spot.place, partial(read, spot)) for spot in spots(found[start:stop])]

    return Rows(len(found), part)


def photos_listed(source: str, column: str | None, stdin: Callable[[], bytes]) -> Sequence[Asked]:
    """The photos that a list or a table names. Raises ConfigError where it cannot be read.

    A list ("-" is stdin) has a path a line, as `find` prints them, or ended by zero bytes as `find -print0` does; they
    are relative to the current folder. A table is CSV, TSV or Parquet; its paths are relative to its folder, and are
    called in the answers what the table calls them.
    """
    suffix = Path(source).suffix.lower() if source != STDIN else ""
    if suffix == ".parquet":
        cells = _parquet_cells(Path(source), column)
    elif suffix in (".csv", ".tsv"):
        cells = _csv_cells(_text(source, _bytes_of(Path(source))), source, column)
    else:
        if column:
            raise ConfigError("A list has no columns", where=source, remedy="Leave --column out, or name a table.")
        data = stdin() if source == STDIN else _bytes_of(Path(source))
        ends = "\0" if b"\0" in data else "\n"
        lines = (os.fsdecode(line) for line in data.removeprefix(b"\xef\xbb\xbf").split(ends.encode()))
        cells = [line.removesuffix("\r") if ends == "\n" else line for line in lines]
        return _cells([cell for cell in cells if cell.strip()], Path())
    return _cells(cells, Path(source).parent)


def _cells(cells: Sequence[str], folder: Path) -> Sequence[Asked]:
    def part(start: int, stop: int) -> list[Asked]:
        numbered = enumerate(cells[start:stop], start=start + 1)
        return [(cell or f"row {number}", _reader(cell, folder)) for number, cell in numbered]

    return Rows(len(cells), part)


def _matches(name: str) -> Iterable[Path | str]:
    """The path itself; where there is none, what it matches as a pattern in which ** is any number of folders."""
    if looks_remote(name):
        return [name]
    path = Path(name).expanduser()
    if path.exists() or not glob.has_magic(name):
        return [path]
    found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - Path's takes no absolute one
    # `photos/*` means the photos in those folders as well; `photos/**` names each of them already.
    if "**" in name:
        found = [match for match in found if match.is_file()]
    if not found:
        raise RequestError("Nothing matches this pattern", status=404, where=name, remedy="Check the path.")
    return found


def _reader(cell: str, folder: Path) -> Read:
    if not cell:
        return partial(_refuse, "This row names no photo", "Fill in its path.")
    if cell.startswith(_BUCKETS):
        return partial(read, resolved(cell))
    if is_address(cell):
        # A table that somebody sent is no reason to ask servers for things.
        return partial(_refuse, "This is an address", "Give it on the command line, or fetch all with: fledged collect")
    return partial(read, folder / Path(cell).expanduser())


def _refuse(what: str, remedy: str) -> bytes:
    raise RequestError(what, status=400, remedy=remedy)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot be read: {error.strerror}", where=path, remedy="Check the path.") from error


def _text(source: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("This is not UTF-8 text", where=source, remedy="Save it as UTF-8.") from error


def _csv_cells(text: str, source: str, column: str | None) -> list[str]:
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        names = next(reader, [])
        place = names.index(_column([name.strip() for name in names], source, column, names))
        return [value_of(row[place].strip()) if place < len(row) else "" for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ConfigError(f"Line {reader.line_num} is not CSV: {error}", where=source, remedy="Mend it.") from error


def _parquet_cells(source: Path, column: str | None) -> list[str]:
    with naming_extras():
        from pyarrow import ArrowException, parquet
    try:
        with parquet.ParquetFile(source) as file:
            names = list(file.schema_arrow.names)
            name = _column(names, str(source), column, names)
            return [str(cell or "") for cell in file.read([name]).column(name).to_pylist()]
    except (OSError, ArrowException) as error:
        raise ConfigError("This is no Parquet file that can be read", where=source, remedy="Write it anew.") from error


def _column(clean: Sequence[str], source: str, wanted: str | None, names: Sequence[str]) -> str:
    """The column that names the photos, as the table calls it."""
    known = (wanted,) if wanted else COLUMNS
    lower = [name if wanted else name.lower() for name in clean]
    for spelling in known:
        if spelling in lower:
            return names[lower.index(spelling)]
    raise ConfigError(
        f"This table has no column `{wanted}`" if wanted else "This table has no column that names photos",
        where=source,
        remedy=f"Name one of its columns with --column: {', '.join(clean[:20]) or 'it has none'}.",
    )
