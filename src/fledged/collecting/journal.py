"""A file of JSON lines that is only ever appended to, and survives being killed in the middle of a line."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from fledged.provenance import TORN
from fledged.writing import bytes_of_file, disk_errors, make_folder, sync_folder

# Flushing each line would take longer than writing the photos that the lines are about.
_FLUSH_EVERY_S = 1.0


class Journal:
    """Appends lines. Each is with the operating system when `append` returns, so it outlives the process; a power cut
    costs what was appended in the last second.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._flushed_s = 0.0

    def append(self, line: str) -> None:
        """Write one line of JSON, without its end."""
        with disk_errors(self.path):
            if self._file is None:
                make_folder(self.path.parent)
                is_new = not self.path.exists()
                self._file = self.path.open("ab", buffering=0)
                if is_new:
                    sync_folder(self.path.parent)
                self._file.write(_end_of_torn_line(self.path))
            # One write call, and nothing buffered: what is killed leaves whole lines and at most one torn one.
            self._file.write(line.encode() + b"\n")
            if (now_s := time.monotonic()) - self._flushed_s > _FLUSH_EVERY_S:
                os.fsync(self._file.fileno())
                self._flushed_s = now_s

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._file is not None:
            with disk_errors(self.path):
                os.fsync(self._file.fileno())
                self._file.close()
            self._file = None


def read_lines(path: Path) -> Iterator[dict[str, object]]:
    """The JSON objects of a journal, without what cannot be read: such a line costs work, not correctness."""
    try:
        lines = bytes_of_file(path).split(b"\n")
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
    data = bytes_of_file(path)
    if not data or data.endswith(b"\n"):
        return b""
    try:
        json.loads(data.rpartition(b"\n")[2])
    except ValueError:
        return TORN + b"\n"
    return b"\n"  # a whole line that somebody wrote by hand
