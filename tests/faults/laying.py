"""Lays states of the disk, and takes hashes, of what was touched since alone: most of an area never is.

What tells is the time at which the system changed a file last, which no program can set.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.promises import Digest, sha256_of

_TICK_S = 0.01  # of the clock by which file systems tell times, and more


@dataclass(frozen=True, slots=True)
class _Known:
    inode: int
    changed_ns: int
    n_bytes: int
    sha256: str

    def is_still(self, about: os.stat_result) -> bool:
        return (about.st_ino, about.st_ctime_ns, about.st_size) == (self.inode, self.changed_ns, self.n_bytes)


class Area:
    """The folder that commands see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, _Known] = {}  # as they were laid
        self._state = Path()

    def lay(self, state: Path) -> None:
        """Make it what a state is, with all times, by which caches know files."""
        if state != self._state:
            self._known, self._state = {}, state
        self.folder.mkdir(exist_ok=True)
        there = {path.relative_to(state).as_posix(): path for path in sorted(state.rglob("*"))}
        for path in sorted(self.folder.rglob("*"), reverse=True):  # what is in a folder comes before it
            name = path.relative_to(self.folder).as_posix()
            if name not in there or path.is_dir() != there[name].is_dir():
                path.rmdir() if path.is_dir() else path.unlink()
        is_new = False
        for name, source in there.items():
            place = self.folder / name
            if source.is_dir():
                place.mkdir(exist_ok=True)
            elif not self._is_untouched(name, place):
                place.unlink(missing_ok=True)
                shutil.copy2(source, place)
                about, is_new = place.stat(), True
                self._known[name] = _Known(about.st_ino, about.st_ctime_ns, about.st_size, sha256_of(place))
        for name, source in reversed(there.items()):
            if source.is_dir():
                shutil.copystat(source, self.folder / name)
        if is_new:
            time.sleep(_TICK_S)  # what is written from now on has another time

    def digest(self) -> Digest:
        """As `promises.digest`."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and not name.endswith("lock"):
                is_known = self._is_untouched(name, path)
                found[name] = self._known[name].sha256 if is_known else sha256_of(path)
        return found

    def _is_untouched(self, name: str, path: Path) -> bool:
        known = self._known.get(name)
        return known is not None and path.is_file() and known.is_still(path.stat())
