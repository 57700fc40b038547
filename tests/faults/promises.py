"""What is promised of the disk after a fault, and after the same command was run again."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path, PurePath

from fledged import products
from fledged.errors import FledgedError
from fledged.product_files import open_product
from fledged.products import Product
from fledged.workspace import Workspace
from fledged.writing import sha256_of_file
from tests.faults.injector import Outcome

KINDS: tuple[type[Product], ...] = (
    products.Snapshot,
    products.Review,
    products.Dataset,
    products.Run,
    products.Report,
    products.Bundle,
    products.Package,
)
# They say when and how fast they were made; that they are whole, their sha256 says, or the record's own parser.
TELL_TIMES = (
    *(f"{kind.kind}.json" for kind in KINDS),
    *("overview.html", "run.html", "report.html", "MODEL_CARD.md", "history.csv"),
)
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)")
_SAVED = re.compile(r"Saved (\S+?)(?:: (.+))?(?:  .*)?$")
_RANDOM = re.compile(r"\.[0-9a-f]{8}\.part(?=$|\0)")

Digest = dict[str, str]


def digest(area: Path) -> Digest:
    """The sha256 of every file, by its path, and of whole lines of logs without times and order; locks hold nothing."""
    return {
        path.relative_to(area).as_posix(): sha256_of(path)
        for path in sorted(area.rglob("*"))
        if path.is_file() and not path.name.endswith("lock")
    }


def sha256_of(path: Path) -> str:
    """Of a file; of a log, that of its whole lines without times and order."""
    if path.suffix != ".jsonl":
        return sha256_of_file(path)
    # A photo that could not be read for a moment is taken by the rerun, after the others.
    lines = sorted(_TIME.sub(b"", line) for line in path.read_bytes().split(b"\n") if _is_whole(line))
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def fingerprint(found: Digest) -> str:
    """The same for two states that differ in nothing but the random names of half-written files."""
    named = sorted((without_chance(path), sha256) for path, sha256 in found.items())
    return hashlib.sha256(repr(named).encode()).hexdigest()


def without_chance(paths: str) -> str:
    """A path, or some that end in NUL, without the random part of the names of half-written files."""
    return _RANDOM.sub(".part", paths)


def broken_listings(work: Path) -> list[str]:
    """Every product that a record speaks of and that does not open, and a newest one that cannot be loaded."""
    workspace, broken = Workspace(work), []
    for kind in KINDS:
        for record in work.glob(f"{kind.kind}s/*/{kind.kind}.json"):
            try:
                open_product(kind, record.parent)
            except FledgedError as error:
                broken.append(str(error))
        if workspace.newest(kind) is not None:
            try:
                workspace.load(kind)
            except FledgedError as error:
                broken.append(str(error))
    return broken


def changed_before(before: Digest, now: Digest, state: Path, area: Path) -> list[str]:
    """Earlier files that are gone or other than they were. Logs may have grown; working state may be another."""
    working = ("work/latest.json", "work/checkpoints/", "work/splits/", "work/cache/")
    differ = [path for path, sha256 in before.items() if now.get(path) != sha256 and not path.startswith(working)]
    return [path for path in differ if not (path.endswith(".jsonl") and _has_grown(state / path, area / path))]


def _has_grown(earlier: Path, log: Path) -> bool:
    return log.exists() and log.read_bytes().startswith(earlier.read_bytes())


def other_than(clean: Digest, now: Digest) -> list[str]:
    """Files of which a clean run leaves other bytes, but for those that tell times; and those that are missing."""
    told = {path for path in clean if path.rpartition("/")[2] in TELL_TIMES}
    lasting = [path for path in clean if not _is_cached(path)]
    return [path for path in lasting if path not in now or (path not in told and now[path] != clean[path])]


def rubbish(after: Digest, now: Digest) -> list[str]:
    """What a fault left behind that no clean run leaves."""
    return [path for path in now if path not in after and not (_is_cached(path) and not path.endswith(".part"))]


def _is_cached(path: str) -> bool:
    return path.startswith("work/cache/")


def unclear(outcome: Outcome, mode: str) -> str:
    """What is wrong with how a command ended; "" if nothing is."""
    if "kill" in mode:
        return "" if outcome.code == -9 else f"was to be killed, ended with {outcome.code}"
    lines = [line for line in outcome.err.splitlines() if line.startswith("error:")]
    if outcome.code == 0:
        return ""
    if outcome.code != 2:
        return f"ended with {outcome.code}: {outcome.err[-1500:]}"
    if len(lines) != 1 or "Traceback" in outcome.err:
        return f"not one line: {outcome.err[-1500:]}"
    # Of faults that last, the first that counts may be another one.
    path = PurePath("area" if mode == "fail on" else outcome.hit.partition(" ")[2])
    name = path.parent.name if path.name.endswith("lock") else _RANDOM.sub("", path.name).removeprefix(".")
    # Polars names no file, so the folder of those that are read together is named.
    is_named = name in lines[0] or (path.suffix == ".parquet" and path.parent.name in lines[0])
    return "" if is_named else f"names no path, or another: {lines[0]}"


def unkept(said: str, folder: Path) -> list[str]:
    """Lines that say what was saved, or what was saved in a file, where it is not there."""
    found = [(line, match) for line in said.splitlines() if (match := _SAVED.match(line.strip()))]
    return [line for line, match in found if not _is_kept(folder / match[1], match[2] or "")]


def _is_kept(path: Path, words: str) -> bool:
    return path.exists() and (not words or words in path.read_text())


def newest(work: Path) -> dict[str, str]:
    """The id of the newest product of each kind."""
    try:
        found: dict[str, str] = json.loads((work / "latest.json").read_bytes())
    except FileNotFoundError:
        return {}
    return found
