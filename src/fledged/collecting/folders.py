"""Photos out of a folder that may still be syncing: what is not all there is left for the next run, and named."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from fledged.collecting.layout import is_clutter, placing
from fledged.collecting.offers import (
    HIDDEN,
    Offer,
    Offers,
    Photo,
    Refusal,
    Refused,
    clean_label,
    printable,
    refused,
)
from fledged.collecting.tables import read_file

# A file that was written to within this time may be written to again.
SETTLED_S = 2.0

# Browsers (.crdownload, .part, .download), rclone (.partial), Syncthing (.syncthing.*.tmp), rsync (.name.jpg.aB3xY9),
# iCloud (.name.jpg.icloud), Office (~$name), torrent clients (.!ut, .!qb), LibreOffice and others (.~name).
_PARTIAL = re.compile(
    r"(.*\.(part|partial|crdownload|download|tmp|temp|filepart|icloud|opdownload|!ut|!qb|aria2|~tmp)"
    r"|\.syncthing\..*|\.~.*|~\$.*|\..+\.\w{2,5}\.[A-Za-z0-9]{6})",
    re.IGNORECASE,
)

_DEEPEST = 200  # folders; far more than people make, and Python's own limit is not far above

State = tuple[int, int]  # bytes, time of the last change in ns


def is_partial(name: str) -> bool:
    """Whether a program names files so while it is still writing them."""
    return _PARTIAL.fullmatch(name) is not None


def open_folder(folder: Path, label: str, max_bytes: int, besides: Collection[str] = ()) -> Offers:
    """The photos of a folder with one folder a class, or of one class if there is a `label`; `besides` is left out."""
    found: dict[str, State] = {}
    reasons: list[Refused] = []
    for name, state in _files(folder, "", frozenset()):
        if isinstance(state, Refused):
            reasons.append(state)
        elif name not in besides:
            found[name] = state
    place = placing(list(found), label, wrapped=False)
    # The youngest last: while the others are read, they may settle.
    names = sorted(found, key=lambda name: (_is_young(found[name]), name))

    def offers() -> Iterator[Offer]:
        yield from reasons
        for name in names:
            path, state = folder / name, found[name]
            split, own = place(name)
            try:
                read = partial(_read_settled, path, state, max_bytes)
                key = f"{path.resolve()}?bytes={state[0]}&mtime_ns={state[1]}"
                yield Photo(name, clean_label(own), read, split=split, origin=folder.name, key=key)
            except Refusal as why:
                yield refused(name, None, why)

    return Offers(len(names) + len(reasons), offers())


def _files(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, State | Refused]]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield prefix, Refused(prefix.rstrip("/") or str(folder), None, "cannot be read", error.strerror or "")
        return
    if (identity := (status.st_dev, status.st_ino)) in above:
        yield prefix, Refused(prefix.rstrip("/"), None, "a link back to a folder above")
        return
    if len(above) >= _DEEPEST:
        yield prefix, Refused(prefix.rstrip("/"), None, f"more than {_DEEPEST} folders deep")
        return
    for entry in entries:
        name = prefix + entry.name
        shown = printable(name)
        if is_partial(entry.name):
            yield name, Refused(shown, None, STILL_WRITTEN, "its name says so", again=True)
        elif is_clutter(entry.name):
            yield name, Refused(shown, None, HIDDEN)
        elif shown != name:
            yield name, Refused(shown, None, "file name is not UTF-8")
        else:
            try:
                if entry.is_dir():
                    yield from _files(folder / entry.name, f"{name}/", above | {identity})
                else:
                    yield name, _state(entry.stat())
            except OSError as error:
                yield name, Refused(shown, None, "cannot be read", error.strerror or "")
            except Refusal as why:
                yield name, refused(shown, None, why)


STILL_WRITTEN = "still being written"


def _state(status: os.stat_result) -> State:
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("not a regular file")
    return status.st_size, status.st_mtime_ns


def _is_young(state: State) -> bool:
    return -SETTLED_S < time.time() - state[1] / 1e9 < SETTLED_S


def _read_settled(path: Path, state: State, max_bytes: int) -> bytes:
    """The bytes of a file that is as it was when it was listed. Raises Refusal."""
    while _is_young(state):
        time.sleep(0.05)
    data = read_file(path, max_bytes)
    if not data:
        raise Refusal("empty file", again=True)
    try:
        if _state(path.stat()) == state:
            return data
    except OSError:
        pass
    raise Refusal(STILL_WRITTEN, "it changed while it was read", again=True)
