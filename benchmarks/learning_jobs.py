"""The trainings that are compared, ours and the peers', each a process of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from benchmarks.answers import PYTHON
from benchmarks.build import DATA, WEIGHTS
from benchmarks.measuring import fledged, no_page, run, weights_flags
from benchmarks.mislabels import GROUP_BY
from fledged.products import Dataset, Report
from fledged.workspace import Workspace
from fledged.writing import write_bytes

LOOK = 1000  # photos of a first look
_JOBS = Path(__file__).with_name("peer_jobs")


@dataclass(frozen=True, slots=True)
class Job:
    """How a training went; what it says of the test photos, where it was asked."""

    seconds: float
    cpu_s: float = 0.0
    epoch_s: float = 0.0
    n_right: int = 0
    n: int = 0

    @property
    def accuracy(self) -> float:
        return self.n_right / self.n


def once(root: Path, name: str, measured: Callable[[], Job]) -> Job:
    """What was measured before in this folder, or now."""
    path = root / "measured" / f"{name}.json"
    if path.is_file():
        return Job(**json.loads(path.read_text()))
    job = measured()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps(asdict(job)).encode())
    return job


def build(root: Path, lake: str) -> Job:
    """The one command that does it all."""
    work = _without(root / "built")
    built = run(fledged("build", str(DATA / lake), "--work", str(work), *_grouped(lake), "--weights", str(WEIGHTS)))
    return Job(built.seconds, built.cpu_s, 0.0, *_tested(work))


def look(root: Path, lake: str, seed: str) -> Job:
    """A first look: a sample of the photos that are not in test, judged on those of test."""
    work, known = _without(root / "looked"), _without(root / "known")
    members = Workspace(root / "work").load(Dataset).members().filter(pl.col("split").is_in(["train", "val"]))
    for path in members["path"]:
        (known / path).parent.mkdir(parents=True, exist_ok=True)
        (known / path).symlink_to(DATA / lake / path)
    flags = ("--sample", str(LOOK), "--seed", seed, *_grouped(lake), *weights_flags("build"))
    looked = run(fledged("build", str(known), "--work", str(work), *flags))
    return Job(looked.seconds, looked.cpu_s, 0.0, *_tested(work, str(root / "folders" / "test")))


def _grouped(name: str) -> list[str]:
    return ["--group-by", GROUP_BY[name]] if name in GROUP_BY else []


def prepare(root: Path, name: str, *flags: str) -> Job:
    """The dataset, and its photos as folders for the peers; the seconds from raw files to the dataset."""
    work, lake = _without(root / "work"), DATA / name
    steps = (
        fledged("scan", str(lake), "--work", str(work)),
        fledged("review", "--work", str(work), *no_page(), *weights_flags("review")),
        fledged("prepare", "--work", str(work), *_grouped(name), *flags),
    )
    seconds = sum(run(step).seconds for step in steps)
    run(fledged("copy", str(_without(root / "folders")), "--work", str(work)))
    return Job(seconds)


def _without(folder: Path) -> Path:
    """The folder, of which nothing is left: what was broken off, or another part has left, would take less time."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def ours(root: Path, name: str, *flags: str, is_filling: bool = False) -> Job:
    """A training; `seconds` and `cpu_s` are without the test. Where it `is_filling`, no activations are cached yet."""

    def job() -> Job:
        work = root / "work"
        _without(work / "runs")
        if is_filling:
            _without(work / "cache" / "activations")
        trained = run(fledged("train", "--work", str(work), *weights_flags("train"), *flags))
        return Job(trained.seconds, trained.cpu_s, _history(root)["seconds"][0], *_tested(work))

    return once(root, " ".join([name, *flags]), job)


def _tested(work: Path, *photos: str) -> tuple[int, int]:
    """How many test photos, or photos of a folder, the newest run has right, and of how many."""
    accuracy = json.loads(run(fledged("evaluate", "--work", str(work), "--json", *photos)).stdout)["accuracy"]
    return round(accuracy["value"] * accuracy["n"]), accuracy["n"]


def _history(root: Path) -> pl.DataFrame:
    newest = max((root / "work" / "runs").glob("*/history.csv"), key=lambda path: path.stat().st_mtime_ns)
    return pl.read_csv(newest)


def ask(file: str, root: Path, *arguments: str) -> Job:
    """A training of a peer's, and its test."""

    def job() -> Job:
        out = root / "answer.json"
        took = run([PYTHON, str(_JOBS / file), str(root / "folders"), str(out), str(WEIGHTS), *arguments])
        found = json.loads(out.read_text())
        right = found["right"].values()
        return Job(took.seconds, took.cpu_s, found["epoch_s"], sum(right), len(right))

    return once(root, " ".join([file, *arguments]), job)


def outcomes(root: Path) -> list[tuple[bool, bool]]:
    """Of each test photo whether the newest run has it right, and whether the peer that was asked last has."""
    workspace = Workspace(root / "work")
    known = workspace.load(Dataset).members().select("path", "sha256")
    ours = workspace.load(Report).predictions().join(known, on="path")
    right = dict(ours.select("sha256", pl.col("label") == pl.col("predicted")).iter_rows())
    theirs = json.loads((root / "answer.json").read_text())["right"]
    copied = pl.read_csv(root / "folders" / "manifest.csv").filter(pl.col("split") == "test")
    return [(right[sha256], theirs[path]) for path, sha256 in copied.select("image_path", "sha256").iter_rows()]
