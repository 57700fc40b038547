"""Lakes with planted defects and known truth: what `fledged scan` and `fledged review` find, miss and invent.

python -m benchmarks.planted                     # photos of FLEDGED_REAL_DATA or ../shared/data, and drawn ones
python -m benchmarks.planted copies --photos DIR # one lake, from the photos of one folder of class folders
python -m benchmarks.planted copies --keep DIR   # keep lake, truth, findings and a sheet of the false pairs
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks import results
from benchmarks.build import DATA
from benchmarks.known import ALIKE
from benchmarks.measuring import MEMORY_METHOD, Measured, fledged, no_page, run, weights_flags
from benchmarks.planting.broken import plant_broken
from benchmarks.planting.copies import plant_copies
from benchmarks.planting.outliers import EXPECTED, plant_outliers
from benchmarks.planting.sources import Source, drawn_sources, real_sources
from benchmarks.planting.writing import Truth
from benchmarks.scoring import Pair, Tally, score_copies, score_flags, share
from benchmarks.sheets import pair_sheet
from fledged.products import Review, Snapshot
from fledged.workspace import Workspace

SEED = 20
# Photos of each lake: (real, drawn).
N_PHOTOS = {"broken": (200, 160), "copies": (1000, 240), "outliers": (300, 160)}
COPY_KINDS = ("exact_duplicate", "near_duplicate", "label_conflict")
UNREADABLE_KINDS = ("unreadable", "vector", "zero_byte")

PLANT: dict[str, Callable[[Path, Sequence[Source], int], Truth]] = {
    "broken": plant_broken,
    "copies": plant_copies,
    "outliers": plant_outliers,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What fledged made of a lake."""

    findings: pl.DataFrame
    photos: pl.DataFrame
    scan: Measured
    review: Measured

    def pairs(self, *kinds: str) -> list[Pair]:
        """The photos that findings of these kinds tie together."""
        rows = self.findings.filter(pl.col("kind").is_in(kinds) & pl.col("related_path").is_not_null())
        return [(str(path), str(related)) for path, related in rows.select("path", "related_path").rows()]

    def kinds_by_path(self) -> dict[str, set[str]]:
        """The kinds of finding that each photo carries."""
        kinds: dict[str, set[str]] = {}
        for kind, path in self.findings.select("kind", "path").rows():
            kinds.setdefault(str(path), set()).add(str(kind))
        return kinds


def main() -> None:
    """All lakes, from real and from drawn photos."""
    measure(list(PLANT), None, True, None)


def measure(lakes: Sequence[str], photos: Path | None, drawn: bool, keep: Path | None) -> None:
    """Plant, judge and write a table for each lake and kind of photos."""
    with tempfile.TemporaryDirectory() as folder:
        for name in lakes:
            for origin, sources in origins(name, photos, drawn):
                root = (keep or Path(folder)) / f"{name}-{origin.replace(' ', '-')}"
                truth = PLANT[name](root / "lake", sources, SEED)
                truth.save(root / "truth.json")
                outcome = judge(root / "lake", root / "work")
                _REPORT[name](origin, truth, outcome, root if keep else None)


def judge(lake: Path, work: Path, *settings: str) -> Outcome:
    """`fledged scan` and `fledged review`, each in a process of its own, in an empty working folder."""
    scan = run(fledged("scan", str(lake), "--work", str(work)))
    review = run(fledged("review", "--work", str(work), *no_page(), *weights_flags("review"), *settings))
    workspace = Workspace(work)
    return Outcome(workspace.load(Review).findings(), workspace.load(Snapshot).photos(), scan, review)


def origins(name: str, photos: Path | None, drawn: bool) -> Iterable[tuple[str, list[Source]]]:
    """("real photos" | "drawn photos", the photos) to plant the lake `name` from."""
    n_real, n_drawn = N_PHOTOS[name]
    folders = [photos] if photos else sorted(path for path in DATA.glob("*") if path.is_dir())
    sources = [source for folder in folders for source in real_sources(folder, n_real, SEED)]
    if sources:
        yield ("real photos" if not photos else photos.name), sources[:n_real] if photos else _mixed(sources, n_real)
    else:
        print(f"skipped: no photos in {photos or DATA}; name their folder with FLEDGED_REAL_DATA")
    if drawn:
        yield "drawn photos", list(drawn_sources(n_drawn, SEED))


def _mixed(sources: list[Source], limit: int) -> list[Source]:
    """Some of each lake: its first ones are in random order already."""
    by_lake: dict[str, list[Source]] = {}
    for source in sources:
        by_lake.setdefault(source.name.partition("/")[0], []).append(source)
    mixed = []
    for turn in range(limit):
        mixed += [members[turn] for members in by_lake.values() if turn < len(members)]
    return mixed[:limit]


def _report_copies(origin: str, truth: Truth, outcome: Outcome, keep: Path | None) -> None:
    exact = score_copies(truth, truth.exact, outcome.pairs("exact_duplicate", "label_conflict"))
    false_exact = _of_other_bytes(outcome)
    near = score_copies(truth, truth.near, outcome.pairs(*COPY_KINDS), ALIKE)
    rows = [[f"exact, {t.kind}", t.n, t.found, t.missed, share(t.found, t.n)] for t in exact.tallies]
    rows += [[f"near, {t.kind}", t.n, t.found, t.missed, share(t.found, t.n)] for t in near.tallies]
    found, n = near.recall
    rows += [["near, all: recall", n, found, n - found, share(found, n)]]
    right, n_pairs = near.precision
    rows += [["pairs reported: precision", n_pairs, right, f"{n_pairs - right} false", share(right, n_pairs)]]
    behind = {frozenset(truth.source_of[path] for path in pair) for pair in near.false_pairs}
    rows += [["pairs of pictures behind the false ones", len(behind), "", "", ""]]
    rows += [["exact duplicates reported that are none", false_exact, "", "", ""]]
    _write(f"Planted copies, {origin}", "copies", rows, outcome, len(truth.source_of))
    if keep:
        scores = {frozenset(row[:2]): row[2] for row in outcome.findings.select("path", "related_path", "score").rows()}
        lines = [
            f"{a}\t{b}\t{truth.source_of[a]}\t{truth.source_of[b]}\t{scores.get(frozenset((a, b)))}"
            for a, b in near.false_pairs
        ]
        (keep / "false_pairs.tsv").write_text("\n".join(lines))
        pair_sheet(keep / "lake", near.false_pairs, keep / "false_pairs.png")


def _of_other_bytes(outcome: Outcome) -> int:
    sha256 = dict(outcome.photos.select("path", "sha256").rows())
    return sum(sha256[first] != sha256[second] for first, second in outcome.pairs("exact_duplicate"))


def _report_broken(origin: str, truth: Truth, outcome: Outcome, keep: Path | None) -> None:
    kinds = outcome.kinds_by_path()
    unreadable = {path: found & set(UNREADABLE_KINDS) for path, found in kinds.items()}
    rows = [_row(tally) for tally in score_flags(truth.broken, unreadable)]
    found = sum(bool(unreadable.get(path)) for path in truth.broken)
    rows.append(
        [
            "all that cannot be read",
            len(truth.broken),
            found,
            len(truth.broken) - found,
            share(found, len(truth.broken)),
        ]
    )
    good = [*truth.odd_but_good, *truth.untouched]
    false = [path for path in good if unreadable.get(path)]
    rows.append(
        [
            f"false, of {len(truth.odd_but_good)} odd and {len(truth.untouched)} plain photos",
            len(good),
            "",
            f"{len(false)} false",
            "",
        ]
    )
    rows += [[f"false: {truth.odd_but_good.get(path, path)}", "", "", 1, ""] for path in false]
    _write(f"Planted unreadable files, {origin}", "broken", rows, outcome, len(truth.source_of))


def _report_outliers(origin: str, truth: Truth, outcome: Outcome, keep: Path | None) -> None:
    kinds = outcome.kinds_by_path()
    named = {tally.kind: tally for tally in score_flags(truth.outliers, kinds, EXPECTED)}
    rows: list[list[object]] = []
    for tally in score_flags(truth.outliers, kinds):
        under = named[tally.kind]
        rows.append([tally.kind, tally.n, under.found, under.missed, share(under.found, under.n), tally.found])
    flagged = {path: kinds[path] for path in truth.untouched if path in kinds}
    by_kind = sorted({kind for found in flagged.values() for kind in found})
    for kind in by_kind:
        n = sum(kind in found for found in flagged.values())
        rows.append(
            [f"untouched photos reported: {kind}", len(truth.untouched), "", n, share(n, len(truth.untouched)), ""]
        )
    _write(f"Planted outliers, {origin}", "outliers", rows, outcome, len(truth.source_of), ["under any kind"])
    if keep:
        lines = [f"{path}\t{' '.join(sorted(found))}" for path, found in sorted(flagged.items())]
        (keep / "untouched_reported.tsv").write_text("\n".join(lines))


_REPORT = {"broken": _report_broken, "copies": _report_copies, "outliers": _report_outliers}


def _row(tally: Tally) -> list[object]:
    return [tally.kind, tally.n, tally.found, tally.missed, share(tally.found, tally.n)]


def _write(
    title: str, lake: str, rows: list[list[object]], outcome: Outcome, n_files: int, more: Sequence[str] = ()
) -> None:
    notes = (
        f"{n_files} files, seed {SEED}. `fledged scan` {outcome.scan.seconds:.1f} s, {outcome.scan.peak_mib:.0f} MiB; "
        f"`fledged review` {outcome.review.seconds:.1f} s, {outcome.review.peak_mib:.0f} MiB, each with empty\n"
        f"caches. {MEMORY_METHOD}"
    )
    header = ["what", "n", "found", "missed or false", "share (95% interval)", *more]
    results.write(title, f"python -m benchmarks.planted {lake}", header, rows, notes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakes", nargs="*", help=f"of {', '.join(PLANT)}; all without")
    parser.add_argument("--photos", type=Path, help="a folder of class folders of real photos, one lake")
    parser.add_argument("--drawn", action="store_true", help="from drawn photos too, with --photos")
    parser.add_argument("--keep", type=Path, help="a folder to keep lakes and findings in")
    given = parser.parse_args()
    if unknown := set(given.lakes) - set(PLANT):
        sys.exit(f"error: there is no lake {', '.join(sorted(unknown))}. Known: {', '.join(PLANT)}.")
    measure(given.lakes or list(PLANT), given.photos, given.drawn or not given.photos, given.keep)
