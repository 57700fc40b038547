"""Lakes with wrong labels: how many `fledged review` finds, and what a model gains from its advice.

    python -m benchmarks.mislabels            # 3 seeds, with the accuracy after the advice
    python -m benchmarks.mislabels --only ranking       # or accuracy, or many: the ranking of 20 seeds

Whole sources change their class: all variants that Roboflow made of a photo together. The accuracy is that of a model
trained on the lake and judged on photos that never were in it, by their true labels, the same ones for all lakes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.measuring import fledged, no_page, run, weights_flags
from benchmarks.planted import judge
from benchmarks.planting.sources import real_files
from benchmarks.planting.writing import Truth
from benchmarks.scoring import share
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan

SEEDS = (1, 2, 3)
_MANY = 20
# (lake, share of the sources that are mislabelled, share of the photos that people are shown)
SUBJECTS = (("birds_vs_drones", 0.10, 0.12), ("birds_vs_drones", 0.20, 0.22), ("ants_vs_bees", 0.10, 0.12))
GROUP_BY = {"birds_vs_drones": r"^(.+)\.rf\."}
_HELD_OUT = 0.2


@dataclass(frozen=True, slots=True)
class Hits:
    """Of the photos that people are shown, how many are mislabelled."""

    n_shown: int
    n_right: int
    n_flipped: int


def main() -> None:
    """All lakes and seeds."""
    measure(SEEDS, ("ranking", "accuracy"))


def measure(seeds: Sequence[int], tables: Sequence[str]) -> None:
    """Write the table of the ranking, that of the accuracy, or both."""
    if not DATA.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    if "ranking" in tables:
        _write_ranking(seeds)
    if "accuracy" in tables:
        _write_accuracy(seeds)
    if "many" in tables:
        _write_many(range(1, _MANY + 1))


def _write_ranking(seeds: Sequence[int]) -> None:
    rows = []
    for name, noise, shown in SUBJECTS:
        rows += [_rank(name, noise, shown, seed) for seed in seeds]
    results.write(
        "Mislabels: the photos that the review shows first",
        "python -m benchmarks.mislabels",
        ["photos", "sources mislabelled", "seed", "shown of all", "recall", "precision", "review s", "review MiB"],
        rows,
        "Shown: the findings `likely_mislabel` of the highest scores, up to that share of all photos. Intervals are\n"
        "Wilson's over photos, too narrow where a source has several. Review: with empty caches, features included.",
    )


def plant(name: str, noise: float, seed: int, lake: Path, keep_out: frozenset[str] = frozenset()) -> Truth:
    """A copy (hard links where the disk can) of the lake with that share of its sources in the wrong class."""
    files = [entry for entry in real_files(DATA / name) if entry[0] not in keep_out]
    if not files:
        raise ValueError(f"there are no photos in {DATA / name}")
    sources = sorted({source for source, _, _ in files})
    rng = np.random.default_rng([seed, round(noise * 100)])
    wrong = {sources[index] for index in rng.permutation(len(sources))[: round(noise * len(sources))]}
    labels = sorted({label for _, label, _ in files})
    truth = Truth()
    for source, label, file in files:
        given = labels[(labels.index(label) + 1) % len(labels)] if source in wrong else label
        path = f"{given}/{file.name}"
        (lake / given).mkdir(parents=True, exist_ok=True)
        if (lake / path).exists():
            raise ValueError(f"two files would be called {path}")
        _link(file, lake / path)
        truth.source_of[path], truth.true_label[path] = source, label
        if source in wrong:
            truth.flipped.append(path)
    return truth


def hits(ranked: Sequence[str], truth: Truth, shown: float) -> Hits:
    """Of the first paths, up to the share `shown` of all photos, those that are mislabelled."""
    first = list(ranked)[: int(shown * len(truth.true_label))]
    return Hits(len(first), len(set(first) & set(truth.flipped)), len(truth.flipped))


def ranking(findings: pl.DataFrame) -> list[str]:
    """The likely mislabels, the likeliest first."""
    likely = findings.filter(pl.col("kind") == "likely_mislabel").sort("score", descending=True, maintain_order=True)
    return list(dict.fromkeys(likely["path"]))


def _rank(name: str, noise: float, shown: float, seed: int) -> list[object]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        truth = plant(name, noise, seed, Path(folder) / "lake")
        outcome = judge(Path(folder) / "lake", Path(folder) / "work")
    found = hits(ranking(outcome.findings), truth, shown)
    return [
        f"{name} ({len(truth.true_label)})",
        f"{noise:.0%} ({found.n_flipped} photos)",
        seed,
        f"{shown:.0%} ({found.n_shown})",
        share(found.n_right, found.n_flipped),
        share(found.n_right, found.n_shown),
        f"{outcome.review.seconds:.1f}",
        f"{outcome.review.peak_mib:.0f}",
    ]


def _write_many(seeds: Sequence[int]) -> None:
    rows: list[list[object]] = []
    for name, noise, shown in SUBJECTS:
        with tempfile.TemporaryDirectory() as folder:
            found = [_found(name, noise, shown, seed, Path(folder)) for seed in seeds]
        recalls = [each.n_right / each.n_flipped for each in found]
        precisions = [each.n_right / each.n_shown for each in found]
        rows.append([name, f"{noise:.0%}", f"{shown:.0%}", len(found), _spread(recalls), _spread(precisions)])
    results.write(
        f"Mislabels: the photos that the review shows first, {len(seeds)} seeds",
        "python -m benchmarks.mislabels --only many",
        ["photos", "sources mislabelled", "shown of all", "seeds", "recall: mean (least to most)", "precision"],
        rows,
        "As in the table of single seeds, but for the caches, which the seeds share: scan and review in one process.",
    )


def _found(name: str, noise: float, shown: float, seed: int, root: Path) -> Hits:
    lake = root / f"lake {seed}"
    truth = plant(name, noise, seed, lake)
    work, training = root / "work", {"weights": str(WEIGHTS)} if WEIGHTS.is_file() else {}
    made = review(scan(lake, work=work, report=silent), work=work, report=silent, train=training)
    return hits(ranking(made.findings()), truth, shown)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _write_accuracy(seeds: Sequence[int]) -> None:
    has_apply = "--apply" in run(fledged("review", "--help")).stdout
    rows = []
    for name, noise in (("birds_vs_drones", 0.10), ("birds_vs_drones", 0.20)):
        triples = [_accuracies(name, noise, seed, has_apply) for seed in seeds]
        means = [statistics.mean(values) if None not in values else None for values in zip(*triples, strict=True)]
        for seed, triple in [*zip(map(str, seeds), triples, strict=True), ("mean", means)]:
            rows.append([name, f"{noise:.0%}", seed, *("" if value is None else f"{value:.4f}" for value in triple)])
    results.write(
        "Mislabels: accuracy before and after the advice",
        "python -m benchmarks.mislabels",
        ["photos", "sources mislabelled", "seed", "clean lake", "as mislabelled", "after `--apply advice`"],
        rows,
        f"Accuracy on {_HELD_OUT:.0%} of the sources, which are in none of the lakes, by their true labels: scan,\n"
        "review, prepare --group-by, train and evaluate with the defaults.",
    )


def _accuracies(name: str, noise: float, seed: int, has_apply: bool) -> list[float | None]:
    """Of the clean lake, of the mislabelled one, and of that one after the advice was applied."""
    sources = sorted({source for source, _, _ in real_files(DATA / name)})
    rng = np.random.default_rng(seed)
    held_out = frozenset(sources[i] for i in rng.permutation(len(sources))[: round(_HELD_OUT * len(sources))])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for source, label, file in real_files(DATA / name):
            if source in held_out:
                (root / "test" / label).mkdir(parents=True, exist_ok=True)
                _link(file, root / "test" / label / file.name)
        plant(name, 0.0, seed, root / "clean" / "lake", held_out)
        plant(name, noise, seed, root / "noisy" / "lake", held_out)
        plant(name, noise, seed, root / "advised" / "lake", held_out)
        cache = root / "clean" / "work" / "cache"
        clean = _accuracy(root / "clean", root / "test", name, seed, None, [])
        noisy = _accuracy(root / "noisy", root / "test", name, seed, cache, [])
        advised = (
            _accuracy(root / "advised", root / "test", name, seed, cache, ["--apply", "advice"]) if has_apply else None
        )
    return [clean, noisy, advised]


def _accuracy(root: Path, test: Path, name: str, seed: int, cache: Path | None, apply: list[str]) -> float:
    work = root / "work"
    if cache is not None and cache.is_dir():
        work.mkdir(parents=True)
        shutil.copytree(cache, work / "cache")  # features are cached by content: computed once for all lakes
    run(fledged("scan", str(root / "lake"), "--work", str(work)))
    run(fledged("review", "--work", str(work), *no_page(), *weights_flags("review")))
    if apply:
        run(fledged("review", "--work", str(work), *no_page(), *weights_flags("review"), *apply))
    group_by = ["--group-by", GROUP_BY[name]] if name in GROUP_BY else []
    run(fledged("prepare", "--work", str(work), "--seed", str(seed), *group_by))
    run(fledged("train", "--work", str(work), "--seed", str(seed), *weights_flags("train")))
    report = run(fledged("evaluate", str(test), "--work", str(work), "--json"))
    return float(json.loads(report.stdout)["accuracy"]["value"])


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # another disk
        shutil.copyfile(file, to)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("ranking", "accuracy", "many"))
    given = parser.parse_args()
    measure(SEEDS, (given.only,) if given.only else ("ranking", "accuracy"))
