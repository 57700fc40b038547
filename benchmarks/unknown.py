"""Which score tells photos that belong to no class: all candidates on real photos, with classes left out in turn.

    python -m benchmarks unknown
    python -m benchmarks.unknown --finetuned    # a network whose last blocks were trained, as well: minutes

Unknown are the photos of another lake, and of each class in turn of both lakes together, which are then trained without
it. Known photos are split by group; candidates are fitted on train, thresholds set on val, figures taken on test.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.features import features
from benchmarks.mislabels import GROUP_BY
from benchmarks.unknown_scores import Array, IntArray, scores

LAKES = ("ants_vs_bees", "birds_vs_drones")
SEEDS = (1, 2, 3)
KEPT = 0.95
_PER_CLASS = 200  # of both lakes together, so that none outweighs the others
_SUFFIXES = (".jpg", ".jpeg", ".png")

TextArray = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Photos:
    """Features of photos, what is on them, and what they must not be parted from."""

    features_NF: Array
    labels: TextArray
    groups: TextArray

    def some(self, which: npt.NDArray[np.bool_] | IntArray) -> Photos:
        """Those at these positions."""
        return Photos(self.features_NF[which], self.labels[which], self.groups[which])

    def and_also(self, others: Photos) -> Photos:
        """Both."""
        pairs = ((self.features_NF, others.features_NF), (self.labels, others.labels), (self.groups, others.groups))
        return Photos(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How well a candidate told unknown photos from known test photos."""

    auroc: float
    fpr95: float  # share of unknown photos that are accepted where 95% of the known test photos are
    kept: float  # share of known test photos below the threshold that keeps 95% of the validation photos


def main() -> None:
    """A table for each backbone."""
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return
    with tempfile.TemporaryDirectory() as folder:
        for backbone, weights in (("mobilenet_v2", WEIGHTS), ("efficientnet_lite0", None)):
            lakes = {lake: _photos(lake, weights, Path(folder)) for lake in LAKES}
            _write(backbone, measure(lakes))


def measure(lakes: dict[str, Photos]) -> dict[str, dict[str, list[Outcome]]]:
    """What each candidate (by name) reaches in each case, a seed an entry."""
    found: dict[str, dict[str, list[Outcome]]] = {}
    for seed in SEEDS:
        for case, known, unknown in _cases(lakes, seed):
            for name, outcome in judge(known, unknown, seed).items():
                found.setdefault(name, {}).setdefault(case, []).append(outcome)
            print(f"seed {seed}, {case}", flush=True)
    return found


def judge(known: Photos, unknown: Photos, seed: int) -> dict[str, Outcome]:
    """Of each candidate, fitted on a part of the known photos."""
    labels = np.unique(known.labels, return_inverse=True)[1]
    train, val, test = _parts(labels, known.groups, seed)
    outcomes = {}
    for name, score in scores(known.features_NF[train], labels[train]).items():
        of_val, of_test = score(known.features_NF[val]), score(known.features_NF[test])
        of_unknown = score(unknown.features_NF)
        is_unknown = np.repeat([0, 1], [len(of_test), len(of_unknown)])
        outcomes[name] = Outcome(
            auroc=float(roc_auc_score(is_unknown, np.concatenate([of_test, of_unknown]))),
            fpr95=float((of_unknown <= np.quantile(of_test, KEPT, method="higher")).mean()),
            kept=float((of_test <= np.quantile(of_val, KEPT, method="higher")).mean()),
        )
    return outcomes


def _cases(lakes: dict[str, Photos], seed: int) -> Iterator[tuple[str, Photos, Photos]]:
    ants_bees, birds_drones = (lakes[name] for name in LAKES)
    yield "birds, drones: unknown ants, bees", birds_drones, ants_bees
    yield "ants, bees: unknown birds, drones", ants_bees, birds_drones
    both = ants_bees.and_also(birds_drones)
    random = np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(both.labels == label))[:_PER_CLASS] for label in np.unique(both.labels)]
    four = both.some(np.concatenate(chosen))
    for label in np.unique(four.labels):
        left_out = four.labels == label
        yield f"three classes: unknown {label}", four.some(~left_out), four.some(left_out)


def _parts(labels: IntArray, groups: TextArray, seed: int) -> tuple[IntArray, IntArray, IntArray]:
    """Positions of about 70% train, 15% val and 15% test; no group is in two."""
    rest, test = next(StratifiedGroupKFold(7, shuffle=True, random_state=seed).split(labels, labels, groups))
    of_rest = StratifiedGroupKFold(6, shuffle=True, random_state=seed).split(labels[rest], labels[rest], groups[rest])
    train, val = next(of_rest)
    return rest[train], rest[val], test


def _photos(lake: str, weights: Path | None, work: Path) -> Photos:
    files = sorted(path for path in (DATA / lake).rglob("*") if path.suffix.lower() in _SUFFIXES)
    pattern = re.compile(GROUP_BY.get(lake, "^(.+)$"))
    groups = [found.group(1) if (found := pattern.match(path.name)) else path.name for path in files]
    return Photos(features(files, weights, work), np.array([path.parent.name for path in files]), np.array(groups))


def _write(what: str, found: dict[str, dict[str, list[Outcome]]]) -> None:
    cases = list(next(iter(found.values())))
    rows = [_row(name, of_cases) for name, of_cases in found.items()]
    results.write(
        f"Unknown photos: which score, {what}",
        "python -m benchmarks unknown",
        ["score", "mean AUROC", "mean FPR95", *cases, "known kept by the threshold (least, most)"],
        sorted(rows, key=lambda row: str(row[1]), reverse=True),
        f"A case's cell: AUROC / FPR95, mean of {len(SEEDS)} seeds (splits). FPR95: share of unknown photos that are\n"
        "accepted where 95% of the known test photos are; less is better. Last column: share of known test photos below\n"
        "a threshold that keeps 95% of the validation photos, over all cases and seeds. n: 3,104 birds and drones, 397\n"
        f"ants and bees; of four classes at most {_PER_CLASS} each; 15% of the known are test photos, all unknown ones\n"
        "are asked about. Features of the frozen backbone; the head is a logistic regression.",
    )


def _row(name: str, of_cases: dict[str, list[Outcome]]) -> list[object]:
    means = [
        (statistics.mean(o.auroc for o in outcomes), statistics.mean(o.fpr95 for o in outcomes))
        for outcomes in of_cases.values()
    ]
    kept = [outcome.kept for outcomes in of_cases.values() for outcome in outcomes]
    overall = [f"{statistics.mean(column):.3f}" for column in zip(*means, strict=True)]
    cells = [f"{auroc:.3f} / {fpr:.2f}" for auroc, fpr in means]
    return [name, *overall, *cells, f"{min(kept):.2f}, {max(kept):.2f}"]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
