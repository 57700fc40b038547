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
    "decide": ["tests.faults.verbs:decide", "area/work/decisions.jsonl"],
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
_ASIDE = ("finetune", "unfreeze", "deploy")  # nothing after them needs what they make


def decide(log: str) -> None:
    """What the review page does when somebody presses a key: one photo on the first day, two on the next."""
    opened = DecisionLog(Path(log))
    standing = opened.follow()
    for photo in ("b.jpg", "c.jpg") if "a.jpg" in standing else ("a.jpg",):
        if photo not in standing:
            made = opened.append([Decision(path=photo, action="keep", reviewer="anyone")], [None])
            assert made, photo


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
    shutil.copytree(source, target, symlinks=True, copy_function=_copy)


def _copy(source: str, target: str) -> None:
    if "/cache/distributions/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def lay_ground(folder: Path, injector: Injector, wanted: tuple[str, ...]) -> Iterator[tuple[str, Ground]]:
    """Run the chain once on a smaller lake, then on the whole one; yields each wanted command with its state laid."""
    ground = Ground(folder)
    last = max(list(COMMANDS).index(name) for name in wanted)
    chain = [name for name in list(COMMANDS)[: last + 1] if name in wanted or name not in _ASIDE]
    draw_lake(folder / "drawn", n_per_class=6, defects=False, size_px=(96, 72))
    photos = sorted(path for path in (folder / "drawn").rglob("*") if path.is_file())
    for number, photo in enumerate(photos):
        place = (folder / "new" if number % 6 == 5 else ground.area / "lake") / photo.relative_to(folder / "drawn")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(photo, place)
    _pack(sorted((ground.area / "lake").rglob("*.*"))[:2], ground.area / "more.zip", "old_")
    for name in chain:
        _clean_run(name, injector, ground)
    _pack(sorted(path for path in (folder / "new").rglob("*") if path.is_file()), ground.area / "more.zip", "new_")
    for name in chain:
        if name in wanted:
            copy(ground.area, ground.state(name))
        _clean_run(name, injector, ground)
        if name in wanted:
            copy(ground.area, ground.state(f"after {name}"))
            yield name, ground
            ground.reset(f"after {name}")


def _clean_run(name: str, injector: Injector, ground: Ground) -> None:
    outcome = injector.run(COMMANDS[name], ground.area)
    if outcome.code:
        raise AssertionError(f"{name} ends with {outcome.code} without any fault: {outcome.err}")


def _pack(photos: list[Path], archive: Path, prefix: str) -> None:
    with zipfile.ZipFile(archive, "w") as opened:
        for photo in photos:
            # Other bytes than those of the lake: what follows the end of a picture is not read.
            opened.writestr(f"{photo.parent.name}/{prefix}{photo.name}", photo.read_bytes() + prefix.encode())
