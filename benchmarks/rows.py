"""Memory and speed of scan, prepare and predict by the number of rows: tiny photos, up to a million of them.

    python -m benchmarks rows                                  # 10,000 and 1,000,000: half an hour, and 10 GB
    python -m benchmarks.rows --photos 10000 100000
    python -m benchmarks.rows --photos 100000 --keep DIR       # a lake or step that is there is not made again
    python -m benchmarks.rows --photos 1000000 --drawn         # no photo is probed: what the tables alone need

Photos of 32 px are nearly free to decode, so what is seen is what the program itself does for a row: lists, tables,
hashes, queues between processes. Each step is a `fledged` command of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import results
from benchmarks.many import CLASSES, EXACT, NEAR, make
from benchmarks.measuring import Measured, fledged, run
from fledged.products import Review, Snapshot
from fledged.reviewing.duplicates import exact_duplicates
from fledged.reviewing.findings import findings_of, together
from fledged.reviewing.quality import quality_findings
from fledged.scanning.memory import PROBE_TYPES, memory_of
from fledged.scanning.walk import walk
from fledged.settings.lake import ReviewConfig, ScanConfig
from fledged.workspace import Workspace, now, product_id
from fledged.writing import write_table
from tests.bundles import make_tiny_bundle

SIZES = (10_000, 1_000_000)
STEPS = ("scan", "scan again", "prepare", "predict")
DRAWN = ("scan, all remembered", "scan again")


def main() -> None:
    """All sizes, one after the other."""
    measure(SIZES, None, STEPS)


def measure(sizes: Sequence[int], keep: Path | None, steps: Sequence[str]) -> None:
    """Write the table: a line a step and size."""
    by_step: dict[str, list[tuple[int, Measured]]] = {step: [] for step in steps}
    for n_photos in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = (keep or Path(folder)) / f"{n_photos}"
            lake, near = _lake(root, n_photos)
            for step in steps:
                by_step[step].append((n_photos, _step(step, root, lake, near)))
                _write(by_step)


def _lake(root: Path, n_photos: int) -> tuple[Path, list[tuple[str, str]]]:
    lake, told = root / "lake", root / "near.json"
    if not told.exists():  # it is written last
        near = make(lake, n_photos)
        told.write_text(json.dumps(near))
    return lake, [(first, second) for first, second in json.loads(told.read_text())]


def draw_memory(lake: Path, work: Path) -> None:
    """What a scan would remember of each photo, drawn by lot."""
    rng, listed = np.random.default_rng(0), walk(str(lake)).photos
    n = listed.height
    hashes = [hashlib.sha256(path.encode()).hexdigest() for path in listed["path"]]
    values: dict[str, object] = {"sha256": hashes, "format": "JPEG", "orientation": 1, "n_frames": 1, "has_gps": False}
    values |= {name: rng.integers(0, 2**64, n, dtype=np.uint64) for name in ("phash", "phash_mirrored")}
    values |= {name: rng.uniform(0.1, 0.6, (n, 3)).astype(np.float32) for name in ("mean_rgb", "std_rgb")}
    figures = ("brightness", "contrast", "sharpness", "entropy", "flat_share")
    values |= {name: rng.uniform(0.1, 0.6, n).astype(np.float32) for name in figures}
    values |= {"width_px": 32, "height_px": 32}
    columns = [
        pl.lit(pl.Series(given) if isinstance(given := values.get(name), list | np.ndarray) else given)
        .cast(kind)
        .alias(name)
        for name, kind in PROBE_TYPES.items()
    ]
    memory = memory_of(str(lake.resolve()), ScanConfig(), Workspace(work))
    write_table(memory, listed.select("path", "n_bytes", "mtime_ns", *columns))


def _step(step: str, root: Path, lake: Path, near: list[tuple[str, str]]) -> Measured:
    work = ("--work", str(root / "work"))
    if step == DRAWN[0]:
        draw_memory(lake, root / "work")
    if step in (*DRAWN, *STEPS[:2]):
        return run(fledged("scan", str(lake), *work))
    if step == "prepare":
        stand_in(Workspace(root / "work"), near)
        return run(fledged("prepare", *work))
    bundle = make_tiny_bundle(root / "bundle", classes=[f"class_{label}" for label in range(CLASSES)])
    return run(fledged("predict", str(lake), "--bundle", str(bundle.folder), "--to", str(root / "answers.parquet")))


def stand_in(workspace: Workspace, near: Sequence[tuple[str, str]]) -> Review:
    """A review without a look at the photos: equal files, what the table tells, and the planted near duplicates."""
    snapshot = workspace.load(Snapshot)
    columns = ["path", "sha256", "label", "error", "n_bytes", "width_px", "height_px", "n_frames", "brightness"]
    photos = snapshot.photos([*columns, "contrast", "sharpness", "entropy", "flat_share"])
    readable = photos.filter(pl.col("error").is_null())
    alike = pl.DataFrame(list(near), schema={"related_path": pl.String, "path": pl.String}, orient="row")
    found = together(
        [
            findings_of("exact_duplicate", exact_duplicates(readable), "drop", pl.lit(1.0)),
            findings_of("near_duplicate", alike, "look", pl.lit(0.9), 0.8),
            quality_findings(photos, ReviewConfig(tiny_px=16)),
        ]
    )
    review_id = product_id(Review, snapshot.id, "stand-in")
    folder = workspace.folder("review", review_id)
    write_table(folder / "findings.parquet", found)
    nothing = dict.fromkeys(("path", "action", "label", "reviewer"), pl.String)
    write_table(folder / "decisions.parquet", pl.DataFrame(schema=nothing))
    return workspace.save(
        Review(
            id=review_id,
            version=Review.format_version,
            created_at=now(),
            snapshot_id=snapshot.id,
            findings_by_kind=dict(found.group_by("kind").len().sort("kind").rows()),
            n_decisions=0,
            log_sha256=workspace.decisions_sha256(),
        )
    )


def _write(by_step: dict[str, list[tuple[int, Measured]]]) -> None:
    rows = []
    for step, measured in by_step.items():
        for place, (n, told) in enumerate(measured):
            # From one size to the next, so that what starting costs is left out.
            before = measured[place - 1] if place else None
            grown = (told.parent_mib - before[1].parent_mib) * 2**20 / (n - before[0]) if before else None
            rows.append(
                [
                    step,
                    f"{n:,}",
                    f"{told.seconds:.0f}",
                    f"{told.cpu_s:.0f}",
                    f"{n / told.seconds:,.0f}",
                    f"{n / told.cpu_s:,.0f}",
                    f"{told.parent_mib:.0f}",
                    "" if grown is None else f"{grown:.0f}",
                    f"{told.child_mib:.0f}" if told.child_mib else "none",
                ]
            )
    results.write(
        "Rows: scan, prepare and predict of many tiny photos",
        "python -m benchmarks rows",
        ["step", "photos", "s", "CPU s", "rows/s", "rows a CPU s", "command MiB", "more bytes a row", "worker MiB"],
        rows,
        f"JPEGs of 32 px and 800 bytes in {CLASSES} class folders; {EXACT:.0%} are equal to another file, {NEAR:.0%} are\n"  # noqa: E501
        "another one encoded anew, one in a thousand is cut off. Before `prepare` stands no review but a table of\n"
        "what it would say of these (equal files, planted near duplicates, quality): no photo was looked at. The\n"
        "bundle of `predict` answers by the mean colour. MiB: the highest resident set of the command, and of the\n"
        "largest process that it starts (VmHWM); more bytes a row: of the command, since the size above.\n"
        "All remembered: a first scan that probes no photo; an earlier one's probes, drawn by lot, lie there.",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=SIZES)
    parser.add_argument("--keep", type=Path, help="a folder for lakes and work; what lies there is used again")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--drawn", action="store_true", help="scan with probes that were drawn by lot, and no more")
    given = parser.parse_args()
    measure(given.photos, given.keep, DRAWN if given.drawn else given.only)
