"""Which score tells photos that belong to no class: all candidates on real photos, with classes left out in turn.

    python -m benchmarks unknown

Unknown are the photos of another lake, and of each class in turn of both lakes together, which are then trained without
it. Known photos are split by group; candidates are fitted on train, thresholds set on val, figures taken on test.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.features import features
from benchmarks.mislabels import GROUP_BY
from benchmarks.unknown_scores import Array, IntArray, scores
from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of
from fledged.fitting.batches import read_split
from fledged.measuring.unknown import accepted_at
from fledged.networks.inference import load_classifier
from fledged.networks.knowing import threshold_of
from fledged.preparing.prepare import prepare
from fledged.products import SPLITS
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.training.train import train
from fledged.workspace import Workspace

LAKES = ("ants_vs_bees", "birds_vs_drones")
SEEDS = (1, 2, 3)
KEPT = 0.95
_PER_CLASS = 200  # of both lakes together, so that none outweighs the others
_OTHERS = 400  # photos of the other lake, for a network that was trained
_EPOCHS = 8
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
        return Photos(
            np.concatenate([self.features_NF, others.features_NF]),
            np.concatenate([self.labels, others.labels]),
            np.concatenate([self.groups, others.groups]),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How well a candidate told unknown photos from known test photos."""

    auroc: float
    fpr95: float  # share of unknown photos that are accepted where 95% of the known test photos are
    kept: float  # share of known test photos below the threshold that keeps 95% of the validation photos


Found = dict[str, dict[str, list[Outcome]]]  # by candidate and case


def main() -> None:
    """A table for each backbone, and one for a network whose last blocks were trained."""
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return
    with tempfile.TemporaryDirectory() as folder:
        for backbone, weights in (("mobilenet_v2", WEIGHTS), ("efficientnet_lite0", None)):
            lakes = {lake: photos_of(lake, weights, Path(folder)) for lake in LAKES}
            _write(backbone, measure(lakes), _NOTES)
        _write("mobilenet_v2, last 3 blocks trained", measure_trained(Path(folder)), _NOTES_TRAINED)


def measure(lakes: dict[str, Photos]) -> Found:
    """What each candidate reaches in each case, a seed an entry."""
    found: Found = {}
    for seed in SEEDS:
        for case, known, unknown in _cases(lakes, seed):
            labels = np.unique(known.labels, return_inverse=True)[1]
            parts = [known.some(part) for part in _parts(labels, known.groups, seed)]
            _add(found, case, judge(parts, unknown))
            print(f"seed {seed}, {case}", flush=True)
    return found


def measure_trained(root: Path) -> Found:
    """The same of features that were trained on the known photos: ants and bees, as `fledged train` leaves them."""
    lake, other = LAKES
    files = files_of(other)
    chosen = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:_OTHERS]]
    found: Found = {}
    for seed in SEEDS:
        work = root / f"trained-{seed}"
        snapshot = scan(DATA / lake, work=work)
        dataset = prepare(snapshot, review(snapshot, work=work), work=work, seed=seed)
        run = train(dataset, work=work, report=silent, weights=str(WEIGHTS), unfreeze=3, epochs=_EPOCHS, seed=seed)
        workspace = Workspace(work)
        module = load_classifier(run).embed.backbone
        embedding = embedding_of(run.backbone.name, module, run.preprocess, workspace)

        def photos(table: pl.DataFrame) -> Photos:
            features_NF = features_of(table, embedding, 0, workspace, silent)  # noqa: B023
            labels = table["label"].cast(pl.String).to_numpy()
            return Photos(features_NF, labels, labels)

        data = [path.read_bytes() for path in chosen]
        sha256 = [hashlib.sha256(one).hexdigest() for one in data]
        unknown = photos(pl.DataFrame({"jpeg": data, "sha256": sha256, "label": [-1] * len(data)}))
        parts = [photos(read_split(dataset, split)) for split in SPLITS]
        _add(found, f"ants, bees: {_OTHERS} unknown birds, drones", judge(parts, unknown))
        print(f"seed {seed}, trained", flush=True)
    return found


def judge(parts: Sequence[Photos], unknown: Photos) -> dict[str, Outcome]:
    """Of each candidate, of train, val and test photos that are known, and others."""
    train, val, test = parts
    outcomes = {}
    for name, score in scores(train.features_NF, np.unique(train.labels, return_inverse=True)[1]).items():
        of_val, of_test, of_unknown = (score(photos.features_NF) for photos in (val, test, unknown))
        is_unknown = np.repeat([0, 1], [len(of_test), len(of_unknown)])
        outcomes[name] = Outcome(
            auroc=float(roc_auc_score(is_unknown, np.concatenate([of_test, of_unknown]))),
            fpr95=accepted_at(of_test, of_unknown, KEPT),
            kept=float((of_test <= threshold_of(of_val, KEPT)).mean()),
        )
    return outcomes


def _add(found: Found, case: str, outcomes: dict[str, Outcome]) -> None:
    for name, outcome in outcomes.items():
        found.setdefault(name, {}).setdefault(case, []).append(outcome)


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


def files_of(lake: str) -> list[Path]:
    """The photos of a lake."""
    return sorted(path for path in (DATA / lake).rglob("*") if path.suffix.lower() in _SUFFIXES)


def photos_of(lake: str, weights: Path | None, work: Path) -> Photos:
    """The photos of a lake, with features of a frozen backbone."""
    files = files_of(lake)
    pattern = re.compile(GROUP_BY.get(lake, "^(.+)$"))
    groups = [found.group(1) if (found := pattern.match(path.name)) else path.name for path in files]
    return Photos(features(files, weights, work), np.array([path.parent.name for path in files]), np.array(groups))


def _write(what: str, found: Found, notes: str) -> None:
    cases = list(next(iter(found.values())))
    rows = [_row(name, of_cases) for name, of_cases in found.items()]
    results.write(
        f"Unknown photos: which score, {what}",
        "python -m benchmarks unknown",
        ["score", "mean AUROC", "mean FPR95", *cases, "known kept by the threshold (mean; least to most)"],
        sorted(rows, key=lambda row: str(row[1]), reverse=True),
        notes,
    )


_NOTES = f"""A case's cell: AUROC / FPR95, mean of {len(SEEDS)} seeds (splits). FPR95: share of unknown photos that are
accepted where 95% of the known test photos are; less is better. Last column: share of known test photos below a
threshold that was set on validation photos to keep 95%, over all cases and seeds. n: 3,104 birds and drones, 397 ants
and bees; of four classes at most {_PER_CLASS} each; 15% of the known are test photos, all unknown ones are asked
about. Features of the frozen backbone; the head is a logistic regression."""
_NOTES_TRAINED = f"""As above, but the last 3 blocks were trained ({_EPOCHS} epochs, 4 views) on the known photos, whose
features are the trained network's; {len(SEEDS)} seeds, each with a split and a training of its own; n: 398."""


def _row(name: str, of_cases: dict[str, list[Outcome]]) -> list[object]:
    means = [
        (statistics.mean(o.auroc for o in outcomes), statistics.mean(o.fpr95 for o in outcomes))
        for outcomes in of_cases.values()
    ]
    kept = [outcome.kept for outcomes in of_cases.values() for outcome in outcomes]
    overall = [f"{statistics.mean(column):.3f}" for column in zip(*means, strict=True)]
    cells = [f"{auroc:.3f} / {fpr:.2f}" for auroc, fpr in means]
    return [name, *overall, *cells, f"{statistics.mean(kept):.2f}; {min(kept):.2f} to {max(kept):.2f}"]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
