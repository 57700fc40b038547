"""The commands under test, in their order, each with the state of the disk that it begins with.

Every state holds an earlier good product of each kind, made of a smaller lake: it must outlive every fault.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo.drawing import draw_lake
from fledged.reviewing.decisions import Decision
from fledged.reviewing.log import DecisionLog
from tests.faults.injector import Injector

WORK = ["--work", "area/work"]
_TRAIN = ["--backbone", "efficientnet_lite0", "--set", "train.input.size_px=64", "--set", "train.views=1"]
COMMANDS: dict[str, list[str]] = {
    "collect": ["collect", "area/more.zip", "area/lake"],
    "scan": ["scan", "area/lake", *WORK],
    "decide": ["tests.faults.verbs:decide", "area/work/decisions.jsonl", "area/more.zip"],
    "review": ["review", *WORK],
    "prepare": ["prepare", *WORK, "--set", "prepare.shorter_side_px=64"],
    "train": ["train", *WORK, *_TRAIN, "--epochs", "2"],
    "finetune": ["train", *WORK, *_TRAIN, "--mode", "finetune", "--epochs", "2"],
    # Of the last block alone, on activations of the frozen ones, which are computed once and kept.
    "unfreeze": ["train", *WORK, *_TRAIN, "--unfreeze", "1", "--epochs", "1"],
    "evaluate": ["evaluate", *WORK],
    "export": ["export", *WORK],
    "deploy": ["deploy", *WORK],
}
LIGHT = ("collect", "scan", "decide")  # no network takes part
FIRST = "first "  # before a command: its first run, where nothing lies in the working folder yet
_OLD = "old_"  # in the archive of the first day
_ASIDE = ("finetune", "unfreeze", "deploy")  # nothing after them needs what they make


def argv_of(name: str) -> list[str]:
    """What is run for a command, or for its first run."""
    return COMMANDS[name.removeprefix(FIRST)]


def decide(log: str, archive: str) -> None:
    """What the review page does when somebody presses a key: one photo on the first day, two on the next."""
    with zipfile.ZipFile(archive) as opened:
        is_first = _OLD in "".join(opened.namelist())
    decisions = DecisionLog(Path(log))
    standing = decisions.follow()
    for photo in ("a.jpg",) if is_first else ("b.jpg", "c.jpg"):
        if photo not in standing:
            made = decisions.append([Decision(path=photo, action="keep", reviewer="anyone")], [None])
            assert made, photo
            print(f"Saved {log}: {photo}", flush=True)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the trials take place. All paths stay the same from trial to trial."""

    folder: Path

    @property
    def area(self) -> Path:
        """What commands see, and where faults happen."""
        return self.folder / "area"

    def state(self, name: str) -> Path:
        """What the disk holds before a command."""
        return self.folder / "states" / name

    def reset(self, name: str) -> None:
        """Put back what the disk held before a command."""
        shutil.rmtree(self.area, ignore_errors=True)
        copy(self.state(name), self.area)


def copy(source: Path, target: Path) -> None:
    """A copy with all times, by which caches know files; packed distributions, never written to, as links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, symlinks=True, copy_function=copy_file)


def copy_file(source: str | Path, target: str | Path) -> None:
    """A copy of a file with its times; a link, if it is never written to."""
    if "/cache/distributions/" in str(source):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def lay_ground(folder: Path, injector: Injector, wanted: tuple[str, ...]) -> Iterator[tuple[str, Ground]]:
    """Run the chain once on a smaller lake, then on the whole one; yields each wanted command with its state laid."""
    ground = Ground(folder)
    last = max(list(COMMANDS.values()).index(argv_of(name)) for name in wanted)
    chain = [name for name in list(COMMANDS)[: last + 1] if {name, FIRST + name} & {*wanted} or name not in _ASIDE]
    draw_lake(folder / "drawn", n_per_class=6, defects=False, size_px=(96, 72))
    photos = sorted(path for path in (folder / "drawn").rglob("*") if path.is_file())
    for number, photo in enumerate(photos):
        place = (folder / "new" if number % 6 == 5 else ground.area / "lake") / photo.relative_to(folder / "drawn")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(photo, place)
    _pack(sorted((ground.area / "lake").rglob("*.*"))[:2], ground.area / "more.zip", _OLD)
    for name in chain:
        yield from _step(FIRST + name, wanted, injector, ground)
    _pack(sorted(path for path in (folder / "new").rglob("*") if path.is_file()), ground.area / "more.zip", "new_")
    for name in chain:
        yield from _step(name, wanted, injector, ground)


def _step(name: str, wanted: tuple[str, ...], injector: Injector, ground: Ground) -> Iterator[tuple[str, Ground]]:
    if name in wanted:
        copy(ground.area, ground.state(name))
    outcome = injector.run(argv_of(name), ground.area)
    if outcome.code:
        raise AssertionError(f"{name} ends with {outcome.code} without any fault: {outcome.err}")
    if name in wanted:
        copy(ground.area, ground.state(f"after {name}"))
        yield name, ground
        ground.reset(f"after {name}")


def _pack(photos: list[Path], archive: Path, prefix: str) -> None:
    with zipfile.ZipFile(archive, "w") as opened:
        for photo in photos:
            # Other bytes than those of the lake: what follows the end of a picture is not read.
            opened.writestr(f"{photo.parent.name}/{prefix}{photo.name}", photo.read_bytes() + prefix.encode())
