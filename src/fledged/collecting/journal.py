"""A file of JSON lines that is only ever appended to, and survives being killed in the middle of a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from fledged.provenance import TORN
from fledged.workspace import disk_errors


class Journal:
    """Appends lines; each is on the disk when `append` returns if `durable`, and with the operating system if not."""

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        self._durable = durable
        self._file: BinaryIO | None = None

    def append(self, line: str) -> None:
        """Write one line of JSON, without its end."""
        with disk_errors(self.path):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab", buffering=0)
                self._file.write(_end_of_torn_line(self.path))
            # One write call, and nothing buffered: what is killed leaves whole lines and at most one torn one.
            self._file.write(line.encode() + b"\n")
            if self._durable:
                os.fsync(self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_lines(path: Path) -> Iterator[dict[str, object]]:
    """The JSON objects of a journal, without what cannot be read: such a line costs work, not correctness."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _end_of_torn_line(path: Path) -> bytes:
    """What has to be written before the next line."""
    data = path.read_bytes()
    if not data or data.endswith(b"\n"):
        return b""
    try:
        json.loads(data.rpartition(b"\n")[2])
    except ValueError:
        return TORN + b"\n"
    return b"\n"  # a whole line that somebody wrote by hand
