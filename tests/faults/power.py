"""What a disk may hold after a power cut: of a command that noted all that it did, replayed up to any of its events.

POSIX promises no more than that a file's content is on the disk after its fsync, and the names in a folder after the
fsync of the folder. What else is there depends on the file system, and on chance; crash states are therefore made from
a trace, as in Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014). Three models:

- "strict": each file as at its last fsync, each folder as at its last fsync; all else has not happened.
- "names": all that was done to names is there, and each file as at its last fsync: empty if there was none.
- "mixed": by a seed: names up to some event and those that were synced later, as of a journal; what a file got since
  its last fsync is not there, there in part, or there in part with zeros up to its length.

Times of files are of no meaning here, nor is what is written through memory maps before a sync.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MODELS = ("strict", "names", "mixed")

# A path in the area -> a file like which it is, its content, or None for a folder.
Held = dict[str, Path | bytes | None]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed what the disk holds, or was said."""

    kind: str
    path: str
    more: str


@dataclass(eq=False, slots=True)
class _File:
    synced: Path | None = None  # a file with what the disk surely holds; None: nothing
    size: int = 0
    is_dirty: bool = False  # written to since
    versions: list[tuple[int, Path]] = field(default_factory=list)  # event number -> what was synced then


@dataclass(eq=False, slots=True)
class _Folder:
    live: dict[str, _File | _Folder] = field(default_factory=dict)
    kept: dict[str, _File | _Folder] = field(default_factory=dict)

    def below(self, *, kept: bool) -> Iterator[tuple[str, _File | _Folder]]:
        """All that lies in it, by path: as it was done, or as the disk surely holds it."""
        for name, node in (self.kept if kept else self.live).items():
            yield name, node
            if isinstance(node, _Folder):
                yield from ((f"{name}/{path}", lower) for path, lower in node.below(kept=kept))


class _Disk:
    """Names and files, as they are done and as they are surely held."""

    def __init__(self, area: Path, before: Path, notes: Path) -> None:
        self._area, self._notes = area, notes
        self.root = _Folder()
        for path in sorted(before.rglob("*")):
            node = _Folder() if path.is_dir() else _File(path, path.stat().st_size)
            self._folder_of(path.relative_to(before)).live[path.name] = node
        self.sync_all_names()

    def sync_all_names(self) -> None:
        """As a journal of a file system does now and then."""
        for folder in [self.root, *(node for _, node in self.root.below(kept=False) if isinstance(node, _Folder))]:
            folder.kept = dict(folder.live)

    def apply(self, number: int, event: Event) -> None:
        """Do what was done; what is outside of the area, or has no name any more, is no matter."""
        path = relative(event.path, self._area)
        if path is None:
            return
        if path == Path():
            if event.kind == "sync folder":
                self.root.kept = dict(self.root.live)
            return
        names = self._folder_of(path).live
        node = names.get(path.name)
        match event.kind:
            case "make" | "empty":
                file = names.setdefault(path.name, _File())
                if event.kind == "empty" and isinstance(file, _File):
                    file.size, file.is_dirty = 0, True
            case "mkdir":
                names[path.name] = _Folder()
            case "unlink":
                del names[path.name]
            case "rename" | "link":
                to = relative(event.more, self._area)
                assert to is not None, event
                self._folder_of(to).live[to.name] = names[path.name]
                if event.kind == "rename" and to != path:
                    del names[path.name]
            case "write" if isinstance(node, _File):
                node.size, node.is_dirty = int(event.more), True
            case "sync" if isinstance(node, _File):
                node.synced, node.is_dirty = self._notes / event.more, False
                node.versions.append((number, node.synced))
            case "sync folder" if isinstance(node, _Folder):
                node.kept = dict(node.live)

    def _folder_of(self, path: Path) -> _Folder:
        folder = self.root
        for name in path.parts[:-1]:
            below = folder.live[name]
            assert isinstance(below, _Folder), path
            folder = below
        return folder


class Trace:
    """What a command did: its notes, the disk that it began with, the one that it left, and what it said."""

    def __init__(self, notes: Path, area: Path, before: Path, after: Path, out: str) -> None:
        self._notes, self._area, self._before, self._after, self._out = notes, area, before, after, out
        words = (notes / "events").read_bytes().decode().split("\0")[:-1]
        self.events = [Event(*words[at : at + 3]) for at in range(0, len(words), 3)]
        disk = _Disk(area, before, notes)
        for number, event in enumerate(self.events):
            disk.apply(number, event)
        live = {path for path, _ in disk.root.below(kept=False)}
        there = {path.relative_to(after).as_posix() for path in after.rglob("*")}
        assert live == there, f"the notes and the disk differ: {sorted(live ^ there)}"

    def said(self, n: int) -> str:
        """What had been said after n events."""
        said = [
            event for event in self.events[:n] if event.kind == "write" and relative(event.path, self._area) is None
        ]
        return self._out.encode()[: int(said[-1].more)].decode() if said else ""

    def cut(self, n: int, model: str, seed: int) -> Held:
        """What the disk may hold where the power fails after n events."""
        draw = random.Random(f"{seed} {n}")
        journal_at = draw.randint(0, n) if model == "mixed" else -1
        disk = _Disk(self._area, self._before, self._notes)
        for number, event in enumerate(self.events[:n]):
            if number == journal_at:
                disk.sync_all_names()
            disk.apply(number, event)
        found = dict(disk.root.below(kept=model != "names"))
        files = {path: node for path, node in found.items() if isinstance(node, _File)}
        held: Held = dict.fromkeys(found)
        held |= {path: node.synced or b"" for path, node in files.items()}
        if model == "mixed":
            dirty = {path: node.size for path, node in files.items() if node.is_dirty}
            for number, event in enumerate(self.events[n:], start=n):
                disk.apply(number, event)
            for path, node in disk.root.below(kept=False):
                if isinstance(node, _File):
                    node.versions.append((len(self.events), self._after / path))
            for path, size in dirty.items():
                # What was written before the cut is in what was synced next.
                later = next((file for number, file in files[path].versions if number >= n), None)
                held[path] = _drawn(held[path], later.read_bytes()[:size] if later else b"", draw)
        return held


def _drawn(synced: Path | bytes | None, written: bytes, draw: random.Random) -> bytes:
    """What the disk may hold of a file with this content, of which the beginning may have been synced."""
    certain = synced.read_bytes() if isinstance(synced, Path) else b""
    if (way := draw.choice(("lost", "torn", "zeros"))) == "lost":
        return certain
    n_there = draw.randint(len(certain) if written.startswith(certain) else 0, len(written))
    return written[:n_there] + (bytes(len(written) - n_there) if way == "zeros" else b"")


def lay(held: Held, area: Path) -> None:
    """Make the area what the disk holds."""
    shutil.rmtree(area, ignore_errors=True)
    area.mkdir()
    for name, content in sorted(held.items()):
        if content is None:
            (area / name).mkdir()
        elif isinstance(content, Path):
            shutil.copy2(content, area / name)
        else:
            (area / name).write_bytes(content)


def relative(path: str, area: Path) -> Path | None:
    """The path in the area; None outside of it."""
    normal = Path(os.path.normpath(path))
    return normal.relative_to(area) if normal.is_relative_to(area) else None
