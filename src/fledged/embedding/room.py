"""Room for activations and features: what was used least recently makes way, within the limit and the disk's own."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from fledged.pages import words

_SPARE_BYTES = 2**30  # of the disk, that are left alone


class NoRoom(Exception):
    """The activations cannot be kept; the message is the reason."""


def make_room(needed: Sequence[Path], wanted: int, limit_bytes: int) -> None:
    """Remove the folders that were used least recently, but for the needed ones, until the wanted bytes fit.

    Raises NoRoom where they would not fit then either; nothing is removed for that.
    """
    root = needed[0].parent
    sizes, oldest_first = _kept(needed)
    removable = sum(sizes[folder] for folder in oldest_first)
    of_limit, of_disk = limit_bytes - sum(sizes.values()), shutil.disk_usage(root).free - _SPARE_BYTES
    if wanted > of_limit + removable:
        raise NoRoom(f"{words.amount(wanted)} are more than the limit of {words.amount(limit_bytes)} allows")
    if wanted > (most := of_disk + removable):
        raise NoRoom(f"the disk has no room for {words.amount(wanted)}, only for {words.amount(max(0, most))}")
    _remove(oldest_first, sizes, wanted - min(of_limit, of_disk))


def keep_within(needed: Sequence[Path], limit_bytes: int) -> None:
    """Remove the folders that were used least recently until all take no more than the limit, or the needed are left.

    These have been used now.
    """
    for folder in needed:
        with contextlib.suppress(OSError):  # a disk that takes nothing any more can still be read
            os.utime(folder)
    sizes, oldest_first = _kept(needed)
    _remove(oldest_first, sizes, sum(sizes.values()) - limit_bytes)


def _kept(needed: Sequence[Path]) -> tuple[dict[Path, int], list[Path]]:
    """The bytes of all folders beside the needed ones and of these, and those that may go, the oldest first."""
    sizes = {folder: _size_of(folder) for folder in needed[0].parent.iterdir() if folder.is_dir()}
    return sizes, sorted((folder for folder in sizes if folder not in needed), key=_used_ns)


def _remove(oldest_first: Sequence[Path], sizes: Mapping[Path, int], lacking: int) -> None:
    for folder in oldest_first:
        if lacking <= 0:
            break
        shutil.rmtree(folder, ignore_errors=True)  # another process may be at it as well
        lacking -= sizes[folder]


def _size_of(folder: Path) -> int:
    """Bytes in it, without what another process has finished, and renamed, or removed meanwhile."""
    n_bytes = 0
    with contextlib.suppress(FileNotFoundError):
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                n_bytes += file.stat().st_size
    return n_bytes


def _used_ns(folder: Path) -> int:
    """When it was used last; 0 if another process has removed it meanwhile."""
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
