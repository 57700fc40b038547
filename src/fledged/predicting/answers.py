"""Answers as people and programs want them: lines for a terminal, CSV, JSON and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from fledged import naming_extras
from fledged.errors import ConfigError, shown
from fledged.formulas import cell
from fledged.products import Failure, Prediction

Answer = tuple[str, Prediction | Failure]  # the photo's name

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")
_ROWS = 1000  # of a Parquet file that are kept in memory
_LABEL_WIDTH = 28


def check_suffix(path: Path) -> None:
    """Raises ConfigError where it does not say what is to be written, MissingExtra where that cannot be done here."""
    if path.suffix.lower() not in SUFFIXES:
        remedy = f"Let it end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        raise ConfigError("The name of this file does not say what to write", where=path, remedy=remedy)
    if path.suffix.lower() == ".parquet":
        with naming_extras():
            import pyarrow.parquet  # noqa: F401


def fill(file: BinaryIO, suffix: str, answers: Iterable[Answer], top_k: int) -> None:
    """Write the answers into a file as they come, in the format that belongs to the suffix."""
    match suffix.lower():
        case ".csv":
            for line in csv_lines(answers, top_k):
                file.write(line)
        case ".parquet":
            _fill_parquet(file, answers, top_k)
        case ".json":
            before = b"[\n"
            for answer in answers:
                file.write(before + json_line(answer).rstrip().encode())
                before = b",\n"
            file.write(b"[]\n" if before == b"[\n" else b"\n]\n")
        case _:
            for answer in answers:
                file.write(json_line(answer).encode())


def json_line(answer: Answer) -> str:
    """One answer as a JSON object, with the newline."""
    name, said = answer
    return json.dumps({"file": printable(name)} | said.model_dump(mode="json")) + "\n"


def csv_lines(answers: Iterable[Answer], top_k: int) -> Iterator[bytes]:
    """A header and a row a photo."""
    names = [name for name, _ in _columns(top_k)]
    yield _csv_line(names)
    for answer in answers:
        row = _row(answer)
        yield _csv_line([_cell(row.get(name)) for name in names])


def text_line(answer: Answer, *, aligned: bool) -> str:
    """One answer for people: aligned columns for a terminal, else the file and its answers between tabs."""
    name, said = answer
    # Whoever named the file, or a class, may not move the cursor of whoever reads about it.
    file = shown(printable(name))
    if isinstance(said, Failure):
        return (
            f"{'–':>6}  {'cannot be read':<{_LABEL_WIDTH}}  {file}: {said.error}"
            if aligned
            else f"{file}\terror: {said.error}"
        )
    classes = [f"{shown(entry.label)} {entry.score:.1%}" for entry in said.top_k]
    if not aligned:
        return "\t".join([file, *(classes if said.accepted else ["unknown, its likeliest:", *classes])])
    label = shown(said.label) if said.accepted else f"unknown ({shown(said.label)}?)"
    confidence = f"{said.confidence:.1%}" if said.accepted else "–"
    others = f"  ({', '.join(classes[1:])})" if len(classes) > 1 else ""
    return f"{confidence:>6}  {label:<{_LABEL_WIDTH}}  {file}{others}"


def printable(name: str) -> str:
    """A file's name, which may not be UTF-8, as text that can be written."""
    return name.encode(errors="backslashreplace").decode()


def _columns(top_k: int) -> list[tuple[str, str]]:
    """Names and types of the columns of a table: the first class is the answer, the others follow it by rank."""
    ranks = [
        (f"{name}_{rank}", kind)
        for rank in range(2, top_k + 1)
        for name, kind in (("label", "string"), ("score", "double"))
    ]
    return [
        ("file", "string"),
        ("label", "string"),
        ("confidence", "double"),
        ("accepted", "bool"),
        ("unknown_score", "double"),
        *ranks,
        ("seconds", "double"),
        ("bundle_id", "string"),
        ("error", "string"),
        ("remedy", "string"),
    ]


def _row(answer: Answer) -> dict[str, object]:
    name, said = answer
    row: dict[str, object] = {"file": printable(name)}
    if isinstance(said, Failure):
        return row | {"error": said.error, "remedy": said.remedy}
    for rank, entry in enumerate(said.top_k[1:], start=2):
        row |= {f"label_{rank}": entry.label, f"score_{rank}": entry.score}
    return row | {
        "label": said.label,
        "confidence": said.confidence,
        "accepted": said.accepted,
        "unknown_score": said.unknown_score,
        "seconds": said.seconds,
        "bundle_id": said.bundle_id,
    }


def _csv_line(cells: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else cell(value)


def _fill_parquet(file: BinaryIO, answers: Iterable[Answer], top_k: int) -> None:
    with naming_extras():
        import pyarrow as pa
        from pyarrow import parquet
    types = {"string": pa.string(), "double": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in _columns(top_k)])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        rows: list[dict[str, object]] = []
        for answer in answers:
            rows.append(_row(answer))
            if len(rows) == _ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))
