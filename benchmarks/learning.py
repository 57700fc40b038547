"""Training against fastai and a plain torchvision loop: same photos, same split, same starting weights, same machine.

    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks learning
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning head full  # some of all parts
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning --lake ants_vs_bees
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning head --seeds 5
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning tail --loop-epochs 20  # and the loop's accuracy
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning head --seeds 5 --keep DIR  # may be interrupted

The lake as `fledged prepare` splits it, birds_vs_drones by source; the peers get the original files by `fledged copy`.
Each job is a process of its own. Epochs that take minutes are measured once or twice and multiplied; the table says so.
In a folder that is kept, what has been measured is not measured again: remove it where either side has changed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from scipy.special import stdtrit

from benchmarks import learning_jobs as jobs
from benchmarks import results
from benchmarks.answers import PYTHON
from benchmarks.build import DATA, WEIGHTS
from benchmarks.learning_jobs import Job
from benchmarks.measuring import run
from benchmarks.scoring import share
from fledged.measuring.metrics import mcnemar

LAKE = "birds_vs_drones"
PARTS = ("head", "look", "tail", "full", "best", "folds")
_HEAD_EPOCHS, _TAIL_EPOCHS, _TAIL_MEASURED = 3, 20, 2
_N_BLOCKS = 3
# Of fastai and of timm's recipe: some ten times the time of fledged.
_PATIENT_EPOCHS = {"birds_vs_drones": (25, 34), "ants_vs_bees": (30, 30)}
_FOLDS, _OF_FOLDS, _FOLD_EPOCHS = 2, 5, 10


def main() -> None:
    """All parts."""
    with tempfile.TemporaryDirectory() as folder:
        measure(PARTS, LAKE, 1, _TAIL_MEASURED, Path(folder))


def measure(parts: Sequence[str], lake: str, n_seeds: int, loop_epochs: int, root: Path) -> None:
    """A table for each part. `n_seeds` trainings of each tool for a head, of fledged for a look; the others take one.

    Of the plain loop's 20 epochs for the last blocks, `loop_epochs` are run: of all of them its accuracy is told too.
    All that is measured lies in `root`, and is taken from there where it is there.
    """
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return
    if run([PYTHON, "-c", "import fastai.vision.all"], check=False).code:
        print(f"skipped: {PYTHON} has no fastai; install benchmarks/requirements-peers.txt there, name FLEDGED_PEERS")
        return
    ready = jobs.once(root, f"{lake} ready", lambda: jobs.prepare(root / lake, lake))
    for part in parts:
        _MEASURE[part](root / lake, ready.seconds, lake, loop_epochs if part == "tail" else n_seeds)


def _head(root: Path, ready_s: float, lake: str, n_seeds: int) -> None:
    seeds = [str(seed) for seed in range(42, 42 + n_seeds)]
    pairs = [
        (jobs.ours(root, "head", "--seed", seed), jobs.ask("fastai_job.py", root, "frozen", str(_HEAD_EPOCHS), seed))
        for seed in seeds
    ]
    build = jobs.once(root, "build", lambda: jobs.build(root, lake))
    (trained, theirs), later = pairs[0], pairs[1:]
    total_s = ready_s + trained.seconds
    rows = [
        _row(f"fastai, fit_one_cycle({_HEAD_EPOCHS}), frozen", theirs, theirs.seconds, 1.0),
        _row("fledged scan, review, prepare, train", trained, total_s, theirs.seconds / total_s),
        _row("fledged build: tested and exported, too", build, build.seconds, theirs.seconds / build.seconds),
    ]
    notes = f"Of fledged's seconds {trained.seconds:.1f} are `train`."
    if later:
        ours_each, theirs_each = ([f"{100 * one.accuracy:.1f}" for one in each] for each in zip(*pairs, strict=True))
        differences = [100 * (ours.accuracy - other.accuracy) for ours, other in pairs]
        notes += (
            f" Accuracy of {n_seeds} seeds on the same test photos: fledged {', '.join(ours_each)};\nfastai "
            f"{', '.join(theirs_each)}; difference {_paired(differences)} points (95% interval, Student's t over\n"
            f"seeds). Each further seed took fledged {max(ours.seconds for ours, _ in later):.1f} s at most, start "
            "included."
        )
    _write("head", lake, "a head on frozen blocks, from raw files", rows, notes)


def _look(root: Path, _ready_s: float, lake: str, n_seeds: int) -> None:
    """How soon a sample is enough for what fastai reaches with all photos."""
    seeds = [str(seed) for seed in range(42, 42 + n_seeds)]
    looks = [jobs.once(root, f"look {seed}", partial(jobs.look, root, lake, seed)) for seed in seeds]
    theirs = jobs.ask("fastai_job.py", root, "frozen", str(_HEAD_EPOCHS), seeds[0])
    rows = [
        _row(f"fastai, fit_one_cycle({_HEAD_EPOCHS}), frozen", theirs, theirs.seconds, 1.0),
        *(
            _row(f"fledged build --sample {jobs.LOOK} --seed {seed}", look, look.seconds, theirs.seconds / look.seconds)
            for seed, look in zip(seeds, looks, strict=True)
        ),
    ]
    mean = statistics.fmean(look.accuracy for look in looks)
    notes = f"The seed decides who of the sample is in train and val, too. In the mean {100 * mean:.1f}% are right."
    _write("look", lake, f"a first look at {jobs.LOOK} photos, from raw files", rows, notes)


def _paired(differences: Sequence[float]) -> str:
    mean, n = statistics.fmean(differences), len(differences)
    half = stdtrit(n - 1, 0.975) * statistics.stdev(differences) / n**0.5
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def _tail(root: Path, _ready_s: float, lake: str, loop_epochs: int) -> None:
    flags = ("--unfreeze", str(_N_BLOCKS), "--epochs", str(_TAIL_EPOCHS), "--views", "4")
    first = jobs.ours(root, "tail", *flags, is_filling=True)
    filled = jobs.ours(root, "tail again", *flags, "--seed", "7")
    loop = jobs.ask("torchvision_job.py", root, str(_N_BLOCKS), str(loop_epochs), "42")
    theirs_s = loop.epoch_s * _TAIL_EPOCHS
    rows = [
        _row(
            f"plain loop, {_TAIL_EPOCHS} epochs (the fastest of {loop_epochs}, times {_TAIL_EPOCHS})",
            loop if loop_epochs == _TAIL_EPOCHS else None,
            theirs_s,
            1,
        ),
        _row("fledged, filling the cache first", first, first.seconds, theirs_s / first.seconds),
        _row("fledged, cache filled, another seed", filled, filled.seconds, theirs_s / filled.seconds),
    ]
    _write(
        "tail",
        lake,
        f"the last {_N_BLOCKS} blocks, {_TAIL_EPOCHS} epochs, 4 views",
        rows,
        "Ratio: how many times faster than the loop. One seed.",
    )


def _full(root: Path, _ready_s: float, lake: str, _n_seeds: int) -> None:
    ours = jobs.ours(root, "full", "--mode", "finetune", "--epochs", "1")
    fast = jobs.ask("fastai_job.py", root, "full", "1", "42")
    plain = jobs.ask("torchvision_job.py", root, "0", "1", "42")
    rows = [
        _row(what, None, job.epoch_s, fast.epoch_s / job.epoch_s)
        for what, job in (
            ("fastai, one epoch", fast),
            ("plain loop, one epoch", plain),
            ("fledged, one epoch", ours),
        )
    ]
    _write(
        "full",
        lake,
        "the whole network, one epoch",
        rows,
        f"Ratio: against fastai. `fledged train` took {ours.seconds:.1f} s in all. One seed.",
    )


def _best(root: Path, _ready_s: float, lake: str, _n_seeds: int) -> None:
    """The most accurate that each makes of the lake, by the processor's time: others may work beside it."""
    of_fastai, of_timm = (str(epochs) for epochs in _PATIENT_EPOCHS[lake])
    ours = {f"fledged, --mode {mode}": jobs.ours(root, mode, "--mode", mode) for mode in ("finetune", "gradual")}
    peers = {
        f"fastai, fine_tune({of_fastai})": jobs.ask("fastai_job.py", root, "fine_tune", of_fastai, "42"),
        f"timm's recipe, {of_timm} epochs": jobs.ask("timm_job.py", root, of_timm, "42"),
    }
    most_s = max(job.cpu_s for job in ours.values())
    rows = [_row(what, job, job.cpu_s, job.cpu_s / most_s) for what, job in (ours | peers).items()]
    _write(
        "best",
        lake,
        "the best of each, trained for long",
        rows,
        "Seconds: of the processor, both cores, from the dataset to the trained network, testing included for the "
        "peers;\nratio: to the slower mode of fledged. One seed.",
    )


def _folds(root: Path, _ready_s: float, lake: str, _n_seeds: int) -> None:
    """The last blocks against timm's recipe in ten times the time, on test photos that are others in each fold."""
    flags = ("--unfreeze", str(_N_BLOCKS), "--epochs", str(_TAIL_EPOCHS), "--views", "4")
    rows, outcomes = [], []
    for fold in range(1, _FOLDS + 1):
        part = root / f"fold {fold}"
        jobs.once(part, "ready", partial(jobs.prepare, part, lake, "--fold", f"{fold}/{_OF_FOLDS}"))
        ours = jobs.ours(part, "tail", *flags, is_filling=True)
        theirs = jobs.ask("timm_job.py", part, str(_FOLD_EPOCHS), "42")
        outcomes += jobs.outcomes(part)
        rows.append(_row(f"fold {fold}: fledged {' '.join(flags)}", ours, ours.cpu_s, 1.0))
        name = f"fold {fold}: timm's recipe, {_FOLD_EPOCHS} epochs"
        rows.append(_row(name, theirs, theirs.cpu_s, theirs.cpu_s / ours.cpu_s))
    n, only_ours, only_theirs = len(outcomes), outcomes.count((True, False)), outcomes.count((False, True))
    both = outcomes.count((True, True))
    _write(
        "folds",
        lake,
        f"the last {_N_BLOCKS} blocks against ten times the time, {_FOLDS} of {_OF_FOLDS} folds",
        rows,
        f"Of {n:,} test photos fledged has {both + only_ours:,} right, timm's recipe {both + only_theirs:,}; "
        f"{only_ours} fledged alone, {only_theirs} timm alone (McNemar: p = {mcnemar(only_ours, only_theirs):.2g}).\n"
        "Seconds: of the processor, both cores, from dataset to trained network, testing included for timm. One seed.",
    )


_MEASURE = {"head": _head, "look": _look, "tail": _tail, "full": _full, "best": _best, "folds": _folds}


def _row(what: str, tested: Job | None, seconds: float, ratio: float) -> list[object]:
    said = "" if tested is None else f"{share(tested.n_right, tested.n)}, n = {tested.n}"
    return [what, f"{seconds:.1f}", f"{ratio:.1f}", said]


def _write(part: str, lake: str, what: str, rows: list[list[object]], notes: str) -> None:
    of_lake = "" if lake == LAKE else f" --lake {lake}"
    results.write(
        f"Learning: {what}, {lake}",
        f"FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.learning {part}{of_lake}",
        ["what", "s", "ratio", "test accuracy (95% interval, n)"],
        rows,
        f"{notes} MobileNetV2 with the test weights, 224 px; the peers read the original files.",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--lake", default=LAKE)
    parser.add_argument("--seeds", type=int, default=1, help="of heads and looks")
    parser.add_argument("--loop-epochs", type=int, default=_TAIL_MEASURED, help="that the plain loop is run for")
    parser.add_argument("--keep", type=Path, help="a folder for all that is measured, so that it can be gone on with")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given.parts, given.lake, given.seeds, given.loop_epochs, given.keep or Path(folder))
