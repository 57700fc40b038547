"""CleanVision, imagededup and cleanlab on the same planted lakes as fledged, one after the other on the same machine.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/requirements-peers.txt
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks peers
    FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks.peers copies --real    # one part

Each does what its defaults do, in a process of its own; what one does not do is left empty.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import results
from benchmarks.answers import PYTHON, Answer, ask, of_fledged, of_imagededup
from benchmarks.build import DATA, WEIGHTS
from benchmarks.features import features
from benchmarks.known import ALIKE
from benchmarks.measuring import MEMORY_METHOD, run
from benchmarks.mislabels import SUBJECTS, hits, plant
from benchmarks.planted import COPY_KINDS, PLANT, SEED, origins
from benchmarks.planting.writing import Truth
from benchmarks.scoring import Pair, score_copies, share

PARTS = ("copies", "broken", "outliers", "mislabels")
_COMMAND = "FLEDGED_PEERS=.venv-peers/bin/python python -m benchmarks peers"


def main() -> None:
    """All tables."""
    measure(PARTS, (True, False))


def measure(parts: Sequence[str], drawn: Sequence[bool]) -> None:
    """The tables of some parts, from real photos (False), drawn ones (True) or both."""
    if run([PYTHON, "-c", "import cleanvision, cleanlab, imagededup"], check=False).code:
        print(
            f"skipped: {PYTHON} cannot import the peers; install benchmarks/requirements-peers.txt, name FLEDGED_PEERS"
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in (name for name in parts if name in _WRITE):
            for origin, sources in origins(name, None, True):
                if origin.startswith("drawn") in drawn:
                    root = Path(folder) / f"{name}-{origin.replace(' ', '-')}"
                    _WRITE[name](origin, PLANT[name](root / "lake", sources, SEED), root)
        if "mislabels" in parts and DATA.is_dir():
            _write_mislabels(Path(folder))


def _write_copies(origin: str, truth: Truth, root: Path) -> None:
    answers = [
        of_fledged(root),
        ask("CleanVision", "cleanvision_job.py", root / "lake", root / "cleanvision.json"),
        *of_imagededup(root),
    ]
    rows: list[list[object]] = []
    by_kind: dict[str, list[object]] = {}
    for answer in answers:
        if answer.error:
            rows.append([answer.tool, answer.error, "", "", "", "", *answer.cost])
            continue
        # A tool that lists exact copies apart does not list them among the near ones.
        pairs = [_pair(pair) for key in ("pairs", "exact") for pair in answer.found.get(key, [])]
        exact = score_copies(truth, truth.exact, pairs)
        near = score_copies(truth, truth.near, pairs, ALIKE)
        (found_exact, n_exact), (found, n), (right, n_pairs) = exact.recall, near.recall, near.precision
        rows.append(
            [
                answer.tool,
                f"{found_exact} of {n_exact}",
                share(found, n),
                n - found,
                share(right, n_pairs),
                n_pairs - right,
                *answer.cost,
            ]
        )
        for tally in near.tallies:
            by_kind.setdefault(tally.kind, [tally.kind, tally.n]).append(f"{tally.found / tally.n:.2f}")
    header = [
        "tool",
        "exact copies",
        "near copies: recall",
        "missed",
        "pairs: precision",
        "false pairs",
        "s",
        "CPU s",
        "MiB",
    ]
    results.write(f"Peers: planted copies, {origin}", _COMMAND, header, rows, MEMORY_METHOD)
    tools = [answer.tool for answer in answers if not answer.error]
    title = f"Peers: planted copies by kind, {origin}"
    results.write(title, _COMMAND, ["kind", "n", *tools], list(by_kind.values()), "Share that was found.")


def _write_broken(origin: str, truth: Truth, root: Path) -> None:
    peer = ask("CleanVision", "cleanvision_job.py", root / "lake", root / "cleanvision.json")
    good = [*truth.odd_but_good, *truth.untouched]
    rows: list[list[object]] = []
    for answer in (of_fledged(root), peer):
        if answer.error:
            rows.append([answer.tool, answer.error, "", "", *answer.cost])
            continue
        # CleanVision has no such finding: what it leaves out without a word does not count as found.
        said = set(answer.found.get("unreadable", []))
        found = len(said & set(truth.broken))
        rows.append(
            [
                answer.tool,
                share(found, len(truth.broken)),
                len(truth.broken) - found,
                len(said & set(good)),
                *answer.cost,
            ]
        )
    results.write(
        f"Peers: planted unreadable files, {origin}",
        _COMMAND,
        ["tool", "found", "missed", f"false, of {len(good)}", "s", "CPU s", "MiB"],
        rows,
        f"{len(truth.broken)} unreadable files. CleanVision has no such finding; where it fails, it says nothing\n"
        "of the whole lake.",
    )


def _write_outliers(origin: str, truth: Truth, root: Path) -> None:
    answers = [
        of_fledged(root),
        ask("CleanVision", "cleanvision_job.py", root / "lake", root / "cleanvision.json"),
    ]
    rows: list[list[object]] = []
    kinds = list(dict.fromkeys(truth.outliers.values()))
    for kind in kinds:
        paths = [path for path, planted in truth.outliers.items() if planted == kind]
        rows.append([kind, len(paths), *(_flagged(answer, paths) for answer in answers)])
    everything = list(truth.outliers)
    rows.append(["all", len(everything), *(_flagged(answer, everything) for answer in answers)])
    rows.append(["untouched photos", len(truth.untouched), *(_flagged(answer, truth.untouched) for answer in answers)])
    rows.append(["s", "", *(answer.cost[0] for answer in answers)])
    rows.append(["CPU s", "", *(answer.cost[1] for answer in answers)])
    rows.append(["MiB", "", *(answer.cost[2] for answer in answers)])
    results.write(
        f"Peers: planted outliers, {origin}",
        _COMMAND,
        ["what", "n", *(answer.tool for answer in answers)],
        rows,
        "Photos that carry any finding but a duplicate, of those planted (found) and of those untouched (false,\n"
        "unless the photo is bad by itself).",
    )


def _flagged(answer: Answer, paths: Sequence[str]) -> str:
    if answer.error:
        return answer.error
    not_counted = {*COPY_KINDS, "exact_duplicates", "near_duplicates"}
    flags = answer.found["flags"]
    return str(sum(bool(set(flags.get(path, ())) - not_counted) for path in paths))


def _write_mislabels(folder: Path) -> None:
    rows: list[list[object]] = []
    for name, noise, shown in SUBJECTS:
        root = folder / f"{name}-{noise}"
        truth = plant(name, noise, 1, root / "lake")
        paths = list(truth.true_label)
        labels = np.unique([path.partition("/")[0] for path in paths], return_inverse=True)[1]
        groups = np.unique([truth.source_of[path] for path in paths], return_inverse=True)[1]
        weights = WEIGHTS if WEIGHTS.is_file() else None
        array = features([root / "lake" / path for path in paths], weights, folder / "features")
        np.savez(root / "features.npz", features=array, labels=labels, groups=groups)
        answers = [of_fledged(root)]
        for how, words in (("plain", "random folds"), ("grouped", "folds by source")):
            for strength in ("default", "chosen"):
                tool = f"cleanlab, logistic regression, {words}, {strength} C"
                out = root / f"{how}-{strength}.json"
                answers.append(ask(tool, "cleanlab_job.py", root / "features.npz", out, how, strength))
        for answer in answers:
            ranked = [path if isinstance(path, str) else paths[path] for path in answer.found["ranked"]]
            found = hits(ranked, truth, shown)
            right, missed = found.n_right, found.n_flipped - found.n_right
            precision = share(right, found.n_shown)
            recall = share(right, found.n_flipped)
            subject = f"{name}, {noise:.0%}, first {shown:.0%}"
            rows.append([subject, answer.tool, recall, precision, missed, found.n_shown - right, *answer.cost])
    results.write(
        "Peers: mislabels",
        _COMMAND,
        ["lake", "tool", "recall", "precision", "missed", "false", "s", "CPU s", "MiB"],
        rows,
        "Whole sources mislabelled, seed 1. cleanlab is given the features (its seconds are those of the folds and\n"
        "the ranking alone); fledged's are scan and review from the files, features included. C, the inverse strength\n"
        "of regularisation, is scikit-learn's default of 1, or chosen by log loss on the labels as given, in which\n"
        "the truth takes no part.",
    )


_WRITE = {"copies": _write_copies, "broken": _write_broken, "outliers": _write_outliers}


def _pair(pair: Sequence[str]) -> Pair:
    return pair[0], pair[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all without")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--real", action="store_true", help="from real photos alone")
    only.add_argument("--drawn", action="store_true", help="from drawn photos alone")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        sys.exit(f"error: there is no part {', '.join(sorted(unknown))}. Known: {', '.join(PARTS)}.")
    measure(given.parts or PARTS, [True] * (not given.real) + [False] * (not given.drawn))
