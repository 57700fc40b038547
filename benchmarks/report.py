"""Evaluating real photos against the floor, heatmaps against chance, and how fast a page of 5,000 photos opens.

The floor: every photo of the test split decoded once by the pixel path, in as many threads as cores, then put through
the network once, in the batches that evaluation takes. Needs chromium for the page.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

import fledged
from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from fledged import images
from fledged.measuring import photos
from fledged.measuring.photos import Photo
from fledged.networks import deletion
from fledged.networks.gradcam import chosen, heat, observe
from fledged.networks.inference import load_classifier, run_probabilities
from fledged.products import Dataset, Report, Run
from fledged.progress import silent
from fledged.settings.results import EvaluateConfig
from fledged.workspace import Workspace
from tests.browsing import CHROMIUM

LAKE = "birds_vs_drones"
_ROUNDS = 3
_SHOWN = 5000
_MAPPED = 100  # photos whose heatmaps are checked


def main() -> None:
    """Measure all three and write their tables."""
    if not DATA.is_dir():
        print(f"skipped: no photos in {DATA}; name their folder with FLEDGED_REAL_DATA")
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        flags = ["--backbone", "mobilenet_v2", "--weights", str(WEIGHTS)]
        subprocess.run(
            [sys.executable, "-m", "fledged", "build", str(DATA / LAKE), "--work", str(work), *flags], check=True
        )
        measure(work, Path(folder))


def measure(work: Path, scratch: Path) -> None:
    """All three, with the newest run of a working folder."""
    workspace = Workspace(work)
    run = workspace.load(Run)
    dataset = workspace.load(Dataset, run.dataset_id)
    test = photos.of_test_split(dataset, run.classes)
    _speed(workspace, run, test)
    _heat(run, test)
    _page(workspace, run, dataset, scratch)


def _speed(workspace: Workspace, run: Run, test: list[Photo]) -> None:
    seconds: dict[str, list[float]] = {}

    def timed(name: str, do: Callable[[], object]) -> None:
        start_s = time.perf_counter()
        do()
        seconds.setdefault(name, []).append(time.perf_counter() - start_s)

    def evaluate(n_maps: int) -> Report:
        shutil.rmtree(workspace.root / "reports", ignore_errors=True)
        return fledged.evaluate(run, work=workspace.root, report=silent, page={"heatmaps": n_maps})

    for _ in range(_ROUNDS):
        timed("floor: decode, then inference", lambda: _floor(run, test))
        timed("evaluate, no heatmaps", lambda: evaluate(0))
        timed("evaluate, 9 photos with heatmaps", lambda: evaluate(9))
    floors = seconds["floor: decode, then inference"]
    rows = [
        [
            name,
            f"{statistics.median(of):.1f}",
            f"{statistics.median(s / floor for s, floor in zip(of, floors, strict=True)):.2f}",
        ]
        for name, of in seconds.items()
    ]
    results.write(
        f"Evaluate: the test split of {LAKE}",
        "python -m benchmarks report",
        ["what", "s", "ratio"],
        rows,
        f"{len(test)} original files, mobilenet_v2 with the test weights in torch. Medians of {_ROUNDS} rounds in one\n"
        "process, imports not counted; ratios within each round. The page's neighbours, galleries and pictures are\n"
        "part of both. Other work kept both cores busy meanwhile.",
    )


def _floor(run: Run, test: list[Photo]) -> None:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        squares = list(pool.map(lambda photo: images.model_input(photos.read(photo), run.preprocess), test))
    answer, size = run_probabilities(run), EvaluateConfig().batch_size
    for start in range(0, len(squares), size):
        answer(np.stack(squares[start : start + size]))


def _heat(run: Run, test: list[Photo]) -> None:
    answer = run_probabilities(run)
    observed = observe(load_classifier(run), run.backbone.name)
    depths = chosen(observed.depths, ())
    areas, mapped_s = [], 0.0
    for number, photo in enumerate(test[:: max(1, len(test) // _MAPPED)][:_MAPPED]):
        square = images.model_input(photos.read(photo), run.preprocess)
        index = int(answer(np.stack([square]))[0].argmax())
        start_s = time.perf_counter()
        maps_DSS = heat(observed.network, depths, square, [index]).maps_KDSS[0]
        mapped_s += time.perf_counter() - start_s
        moved_DSS = [deletion.elsewhere(map_SS, number) for map_SS in maps_DSS]
        orders = [*map(deletion.hottest_first, (*maps_DSS, *moved_DSS)), deletion.at_random(number)]
        curves = [deletion.curve(answer, square, order, index) for order in orders]
        areas.append([*map(deletion.area, curves), curves[0][-1]])
    table = np.array(areas)
    can_fall = table[table[:, -1] < 0.5]  # the others' answer is what is answered where nothing is left
    n_depths = len(depths)
    rows = [
        [
            f"block {depth.block}, {depth.n_cells} x {depth.n_cells} cells",
            f"{can_fall[:, place].mean():.3f}",
            results.difference(can_fall[:, n_depths + place] - can_fall[:, place]),
            results.difference(can_fall[:, -2] - can_fall[:, place]),
            results.difference(table[:, n_depths + place] - table[:, place]),
        ]
        for place, depth in enumerate(depths)
    ]
    results.write(
        f"Heatmaps: deletion curves, {LAKE}",
        "python -m benchmarks report",
        [
            "squares taken out by the heat of",
            "area",
            "less than by heat moved elsewhere",
            "less than at random",
            "all photos: less than moved",
        ],
        rows,
        "The answered class, 14 x 14 squares, the hottest first, filled by what lies around them; differences with\n"
        "95% intervals by 2,000 bootstrap samples of photos. Moved: the same heat elsewhere, so holes of the same\n"
        f"shapes. Of {len(table)} test photos, evenly from all, the columns but the last are of the {len(can_fall)} \n"
        "whose answer is another than that to a photo of one colour: the others' need not fall.\n"
        f"A photo's maps took {1000 * mapped_s / len(table):.0f} ms.",
    )


def _page(workspace: Workspace, run: Run, dataset: Dataset, scratch: Path) -> None:
    """Of a folder in which every label is wrong, so that nearly every photo is a mistake to be shown."""
    wrong = scratch / "wrong"
    other = dict(zip(dataset.classes, (*dataset.classes[1:], dataset.classes[0]), strict=True))
    n_written = 0
    for copy in range(2):
        for path, label in dataset.members().drop_nulls("split").sort("path").select("path", "label").iter_rows():
            if n_written < _SHOWN * 1.04:
                target = wrong / other[label] / f"{copy}-{Path(path).name}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(dataset.lake) / path, target)
                n_written += 1
    start_s = time.monotonic()
    report = fledged.evaluate(run, wrong, work=workspace.root, report=silent, gallery=_SHOWN)
    made_s = time.monotonic() - start_s
    page = report.folder / "report.html"
    loads_ms = sorted(_load_ms(page) for _ in range(5))
    results.write(
        f"Report: a page with {_SHOWN:,} photos in its galleries",
        "python -m benchmarks report",
        [
            "photos",
            "pictures in the folder",
            "page MB",
            "folder MB",
            "load event ms, median of 5 (slowest)",
            "made in s",
        ],
        [
            [
                f"{min(_SHOWN, report.accuracy.n - round(report.accuracy.value * report.accuracy.n)):,}",
                f"{sum(name.startswith('photos/') for name in report.files):,}",
                f"{page.stat().st_size / 1e6:.1f}",
                f"{sum(file.stat().st_size for file in (report.folder / 'photos').iterdir()) / 1e6:.0f}",
                f"{loads_ms[2]:.0f} ({loads_ms[-1]:.0f})",
                f"{made_s:.0f}",
            ]
        ],
        "From the start of navigation to the load event, a page in a file, a fresh chromium each time, 1280 x 900.\n"
        "The 500 most confident mistakes with 3 neighbours; what is shown twice is one picture. Other work kept both\n"
        "cores busy meanwhile.",
    )


def _load_ms(page: Path) -> float:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(page.resolve().as_uri())
        tab.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
        value = float(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        browser.close()
    return value


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]))
