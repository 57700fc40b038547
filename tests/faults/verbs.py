"""The commands under test, in their order, each with the state of the disk that it begins with.

Every state holds an earlier good product of each kind, made of a smaller lake: it must outlive every fault.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo.drawing import draw_lake
from fledged.deploying.distributions import unpacked
from fledged.reviewing.decisions import Decision
from fledged.reviewing.log import DecisionLog
from fledged.workspace import Workspace
from fledged.writing import sha256_of_file, write_bytes
from tests.faults.injector import Injector
from tests.faults.laying import Area

WORK = ["--work", "area/work"]
# A small network for all commands: it takes no part in what happens to files. `make_network` makes its weights.
_NETWORK = """\
[train]
backbone = "timm:test_efficientnet"
weights = "network.safetensors"
views = 1
input.size_px = 64
"""
COMMANDS: dict[str, list[str]] = {
    "collect": ["collect", "area/more.zip", "area/lake"],
    "scan": ["scan", "area/lake", *WORK],
    "decide": ["tests.faults.verbs:decide", "area/work/decisions.jsonl"],
    # What `deploy` does where the libraries for Lambda are not at hand.
    "fetch": ["tests.faults.verbs:fetch", "area/work"],
    "review": ["review", *WORK],
    "prepare": ["prepare", *WORK, "--set", "prepare.shorter_side_px=64"],
    "train": ["train", *WORK, "--epochs", "2"],
    "finetune": ["train", *WORK, "--mode", "finetune", "--epochs", "2"],
    # Of the last block alone, on activations of the frozen ones, which are computed once and kept.
    "unfreeze": ["train", *WORK, "--unfreeze", "1", "--epochs", "1"],
    "evaluate": ["evaluate", *WORK],
    "export": ["export", *WORK],
    "deploy": ["deploy", *WORK],
}
LIGHT = ("collect", "scan", "decide")  # no network takes part, and no pip
FIRST = "first "  # before a command: its first run, where nothing lies in the working folder yet
_FIRST_DAY = Path("first day")  # beside the area, so that it meets no fault
_ASIDE = ("fetch", "finetune", "unfreeze", "deploy")  # nothing after them needs what they make


def argv_of(name: str) -> list[str]:
    """What is run for a command, or for its first run."""
    return COMMANDS[name.removeprefix(FIRST)]


def make_network(to: str) -> None:
    """Its weights."""
    from tests.tiny import TINY

    shutil.copy(TINY["weights"], to)


def decide(log: str) -> None:
    """What the review page does when somebody presses a key: one photo on the first day, two on the next."""
    decisions = DecisionLog(Path(log))
    standing = decisions.follow()
    for photo in ("a.jpg",) if _FIRST_DAY.exists() else ("b.jpg", "c.jpg"):
        if photo not in standing:
            made = decisions.append([Decision(path=photo, action="keep", reviewer="anyone")], [None])
            assert made, photo
            print(f"Saved {log}: {photo}", flush=True)


def fetch(work: str) -> None:
    """A list of the libraries that were fetched, with their hashes: for one Python, and on the next day for another."""
    workspace = Workspace(work)
    with workspace.lock():
        folder = unpacked("3.12" if _FIRST_DAY.exists() else "3.14", "x86_64", workspace)
        found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        listed = "".join(f"{sha256_of_file(path)} {name}\n" for name, path in found.items())
        write_bytes(workspace.root / "fetched" / folder.name, listed.encode())
        print(f"Saved {workspace.root}/fetched/{folder.name}", flush=True)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the trials take place. All paths stay the same from trial to trial."""

    folder: Path
    laid: Area

    @property
    def area(self) -> Path:
        """What commands see, and where faults happen."""
        return self.laid.folder

    def state(self, name: str) -> Path:
        """What the disk holds before a command."""
        return self.folder / "states" / name

    def reset(self, name: str) -> None:
        """Put back what the disk held before a command."""
        self.laid.lay(self.state(name))


def copy(source: Path, target: Path) -> None:
    """A copy with all times, by which caches know files."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, symlinks=True)


def lay_ground(folder: Path, injector: Injector, wanted: tuple[str, ...]) -> Iterator[tuple[str, Ground]]:
    """Run the chain once on a smaller lake, then on the whole one; yields each wanted command with its state laid."""
    ground = Ground(folder, Area(folder / "area"))
    last = max(list(COMMANDS.values()).index(argv_of(name)) for name in wanted)
    chain = [name for name in list(COMMANDS)[: last + 1] if {name, FIRST + name} & {*wanted} or name not in _ASIDE]
    draw_lake(folder / "drawn", n_per_class=6, defects=False, size_px=(96, 72))
    photos = sorted(path for path in (folder / "drawn").rglob("*") if path.is_file())
    for number, photo in enumerate(photos):
        place = (folder / "new" if number % 6 == 5 else ground.area / "lake") / photo.relative_to(folder / "drawn")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(photo, place)
    _pack(sorted((ground.area / "lake").rglob("*.*"))[:2], ground.area / "more.zip", "old_")
    (folder / _FIRST_DAY).touch()
    (folder / "fledged.toml").write_text(_NETWORK)
    made = injector.run(["tests.faults.verbs:make_network", "network.safetensors"], ground.area)
    assert made.code == 0, made.err
    for name in chain:
        yield from _step(FIRST + name, wanted, injector, ground)
    (folder / _FIRST_DAY).unlink()
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
