"""Training against fastai and a plain torchvision loop: same photos, same split, same starting weights, same machine.

    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks learning
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning head full  # some of: head, tail, full, best
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning --lake ants_vs_bees
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning head --seeds 5
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning tail --loop-epochs 20  # and the loop's accuracy

The lake as `fledged prepare` splits it, birds_vs_drones by source; the peers get the original files by `fledged copy`.
Each job is a process of its own. Epochs that take minutes are measured once or twice and multiplied; the table says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from scipy.special import stdtrit

from benchmarks import results
from benchmarks.answers import PYTHON
from benchmarks.build import DATA, WEIGHTS
from benchmarks.measuring import Measured, fledged, no_page, run, weights_flags
from benchmarks.mislabels import GROUP_BY
from benchmarks.scoring import share

LAKE = "birds_vs_drones"
PARTS = ("head", "tail", "full", "best")
_JOBS = Path(__file__).with_name("peer_jobs")
_HEAD_EPOCHS, _TAIL_EPOCHS, _TAIL_MEASURED = 3, 20, 2
_N_BLOCKS = 3
_PATIENT_EPOCHS = {"birds_vs_drones": 5, "ants_vs_bees": 30}  # of the peers: some ten times the time of fledged


def main() -> None:
    """All parts."""
    measure(PARTS, LAKE, 1, _TAIL_MEASURED)


def measure(parts: Sequence[str], lake: str, n_seeds: int, loop_epochs: int) -> None:
    """A table for each part. `n_seeds` trainings of each tool for a head; the other parts take one.

    Of the plain loop's 20 epochs for the last blocks, `loop_epochs` are run: of all of them its accuracy is told too.
    """
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return
    if run([PYTHON, "-c", "import fastai.vision.all"], check=False).code:
        print(f"skipped: {PYTHON} has no fastai; install benchmarks/requirements-peers.txt there, name FLEDGED_PEERS")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ready_s = _prepare(root, lake)
        for part in parts:
            _MEASURE[part](root, ready_s, lake, loop_epochs if part == "tail" else n_seeds)


def _built(root: Path, name: str) -> tuple[dict[str, Any], Measured]:
    """The test answers of the one command that does it all, and how it went."""
    work = root / "built"
    built = run(fledged("build", str(DATA / name), "--work", str(work), *_grouped(name), "--weights", str(WEIGHTS)))
    return _tested(work), built


def _grouped(name: str) -> list[str]:
    return ["--group-by", GROUP_BY[name]] if name in GROUP_BY else []


def _prepare(root: Path, name: str) -> float:
    """The dataset, and its photos as folders for the peers; the seconds from raw files to the dataset."""
    work, lake = root / "work", DATA / name
    steps = (
        fledged("scan", str(lake), "--work", str(work)),
        fledged("review", "--work", str(work), *no_page(), *weights_flags("review")),
        fledged("prepare", "--work", str(work), *_grouped(name)),
    )
    seconds = sum(run(step).seconds for step in steps)
    run(fledged("copy", str(root / "folders"), "--work", str(work)))
    return seconds


def _head(root: Path, ready_s: float, lake: str, n_seeds: int) -> None:
    pairs: list[tuple[float, float]] = []
    later_s: list[float] = []
    for seed in range(42, 42 + n_seeds):
        ours, trained = _ours(root, "head", "--seed", str(seed))
        theirs, found = _ask("fastai_job.py", root, "frozen", str(_HEAD_EPOCHS), str(seed))
        if not pairs:
            total_s = ready_s + trained.seconds
            built, build = _built(root, lake)
            rows = [
                _row(f"fastai, fit_one_cycle({_HEAD_EPOCHS}), frozen", theirs.seconds, found, 1.0),
                _row("fledged scan, review, prepare, train", total_s, ours, theirs.seconds / total_s),
                _row("fledged build: tested and exported, too", build.seconds, built, theirs.seconds / build.seconds),
            ]
            notes = f"Of fledged's seconds {trained.seconds:.1f} are `train`."
        else:
            later_s.append(trained.seconds)
        pairs.append((ours["right"] / ours["n"], found["right"] / found["n"]))
    if n_seeds > 1:
        ours_each, theirs_each = ([f"{100 * one:.1f}" for one in each] for each in zip(*pairs, strict=True))
        notes += (
            f" Accuracy of {n_seeds} seeds on the same test photos: fledged {', '.join(ours_each)}; fastai "
            f"{', '.join(theirs_each)}; difference {_paired([100 * (a - b) for a, b in pairs])} points (95% interval,\n"
            f"Student's t over seeds). Each further seed took fledged {max(later_s):.1f} s at most, start included."
        )
    _write(lake, "a head on frozen blocks, from raw files", rows, notes)


def _paired(differences: Sequence[float]) -> str:
    mean, n = statistics.fmean(differences), len(differences)
    half = stdtrit(n - 1, 0.975) * statistics.stdev(differences) / n**0.5
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def _tail(root: Path, _ready_s: float, lake: str, loop_epochs: int) -> None:
    flags = ["--unfreeze", str(_N_BLOCKS), "--epochs", str(_TAIL_EPOCHS), "--views", "4"]
    ours, first = _ours(root, "tail", *flags)
    again, filled = _ours(root, "tail again", *flags, "--seed", "7")
    _, found = _ask("torchvision_job.py", root, str(_N_BLOCKS), str(loop_epochs), "42")
    theirs_s = found["epoch_s"] * _TAIL_EPOCHS
    rows = [
        _row(
            f"plain loop, {_TAIL_EPOCHS} epochs (the fastest of {loop_epochs}, times {_TAIL_EPOCHS})",
            theirs_s,
            found if loop_epochs == _TAIL_EPOCHS else None,
            1,
        ),
        _row("fledged, filling the cache first", first.seconds, ours, theirs_s / first.seconds),
        _row("fledged, cache filled, another seed", filled.seconds, again, theirs_s / filled.seconds),
    ]
    _write(
        lake,
        f"the last {_N_BLOCKS} blocks, {_TAIL_EPOCHS} epochs, 4 views",
        rows,
        "Ratio: how many times faster than the loop. One seed.",
    )


def _full(root: Path, _ready_s: float, lake: str, _n_seeds: int) -> None:
    flags = ["--mode", "finetune", "--epochs", "1"]
    _, job = _ours(root, "full", *flags)
    epoch_s = _history(root)["seconds"][0]
    _, fast = _ask("fastai_job.py", root, "full", "1", "42")
    _, plain = _ask("torchvision_job.py", root, "0", "1", "42")
    rows = [
        _row("fastai, one epoch", fast["epoch_s"], None, 1.0),
        _row("plain loop, one epoch", plain["epoch_s"], None, fast["epoch_s"] / plain["epoch_s"]),
        _row("fledged, one epoch", epoch_s, None, fast["epoch_s"] / epoch_s),
    ]
    _write(
        lake,
        "the whole network, one epoch",
        rows,
        f"Ratio: against fastai. `fledged train` took {job.seconds:.1f} s in all. One seed.",
    )


def _best(root: Path, _ready_s: float, lake: str, _n_seeds: int) -> None:
    """The most accurate that each makes of the lake, by the processor's time: others may work beside it."""
    epochs = str(_PATIENT_EPOCHS[lake])
    peers = {
        f"fastai, fine_tune({epochs})": ("fastai_job.py", "fine_tune", epochs, "42"),
        f"timm's recipe, {epochs} epochs": ("timm_job.py", epochs, "42"),
    }
    found = {}
    for mode in ("finetune", "gradual"):
        right, job = _ours(root, mode, "--mode", mode)
        found[f"fledged, --mode {mode}"] = (job.cpu_s, right)
    most_s = max(seconds for seconds, _ in found.values())
    for what, (file, *arguments) in peers.items():
        job, right = _ask(file, root, *arguments)
        found[what] = (job.cpu_s, right)
    rows = [_row(what, seconds, right, seconds / most_s) for what, (seconds, right) in found.items()]
    _write(
        lake,
        "the best of each in ten times the time",
        rows,
        "Seconds: of the processor, both cores, from the dataset to the trained network, testing included for the "
        "peers;\nratio: to the slower mode of fledged. One seed.",
    )


_MEASURE = {"head": _head, "tail": _tail, "full": _full, "best": _best}


def _ours(root: Path, _name: str, *flags: str) -> tuple[dict[str, Any], Measured]:
    """The test answers of a training, and how it went."""
    work = root / "work"
    trained = run(fledged("train", "--work", str(work), *weights_flags("train"), *flags))
    return _tested(work), trained


def _tested(work: Path) -> dict[str, Any]:
    accuracy = json.loads(run(fledged("evaluate", "--work", str(work), "--json")).stdout)["accuracy"]
    return {"right": accuracy["value"] * accuracy["n"], "n": accuracy["n"]}


def _history(root: Path) -> pl.DataFrame:
    newest = max((root / "work" / "runs").glob("*/history.csv"), key=lambda path: path.stat().st_mtime_ns)
    return pl.read_csv(newest)


def _ask(job: str, root: Path, *arguments: str) -> tuple[Measured, dict[str, Any]]:
    out = root / "answer.json"
    measured = run([PYTHON, str(_JOBS / job), str(root / "folders"), str(out), str(WEIGHTS), *arguments])
    found = json.loads(out.read_text())
    return measured, {"epoch_s": found["epoch_s"], "right": sum(found["right"].values()), "n": len(found["right"])}


def _row(what: str, seconds: float, found: dict[str, Any] | None, ratio: float) -> list[object]:
    if found is None:
        return [what, f"{seconds:.1f}", f"{ratio:.1f}", ""]
    right, n = round(found["right"]), found["n"]
    return [what, f"{seconds:.1f}", f"{ratio:.1f}", share(right, n) + f", n = {n}"]


def _write(lake: str, what: str, rows: list[list[object]], notes: str) -> None:
    results.write(
        f"Learning: {what}, {lake}",
        "FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks learning",
        ["what", "s", "ratio", "test accuracy (95% interval, n)"],
        rows,
        f"{notes} MobileNetV2 with the test weights, 224 px; the peers read the original files.",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--lake", default=LAKE)
    parser.add_argument("--seeds", type=int, default=1, help="of the heads")
    parser.add_argument("--loop-epochs", type=int, default=_TAIL_MEASURED, help="that the plain loop is run for")
    given = parser.parse_args()
    measure(given.parts, given.lake, given.seeds, given.loop_epochs)
