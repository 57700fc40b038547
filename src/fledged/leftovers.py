"""Half-written files: who writes one holds it, so that those of killed processes can be told apart and removed.

The hold is a lock of the operating system (`flock`), which ends with its process however that ends. Where there are no
such locks (Windows, some network disks), half-written files of killed processes stay; they are never read.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".part"


def opened(path: Path) -> BinaryIO:
    """A new file, to be written, that this process holds until it is closed or the process ends."""
    while True:
        file = path.open("wb")
        try:
            if _hold(file) and not _lies_at(file, path):  # the next command came between the two, and removed it
                file.close()
                continue
        except BaseException:
            file.close()
            raise
        return file


def _hold(file: BinaryIO) -> bool:
    """Whether there are locks here; who looks for what is abandoned holds one for a moment only."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
    except (ImportError, OSError):
        return False
    return True


def _lies_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def remove_abandoned(root: Path) -> None:
    """Remove the half-written files below a folder that no process holds."""
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(".") and name.endswith(SUFFIX):
                _remove_if_abandoned(Path(folder) / name)


def _remove_if_abandoned(path: Path) -> None:
    # What cannot be removed now, is gone already or is held is left to the next command.
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
