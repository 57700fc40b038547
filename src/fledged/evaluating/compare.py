"""The door: models side by side on the same photos."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fledged import progress
from fledged.errors import ConfigError, LakeError
from fledged.evaluating.evaluate import evaluate, exam_of
from fledged.measuring.comparison import Comparison, Contender
from fledged.measuring.subject import Subject, find_subject
from fledged.networks.census import size_of
from fledged.products import Bundle, Report, Run
from fledged.showing.album import keep
from fledged.showing.compare_page import render
from fledged.showing.flips import Flips, flips_of, pair_of, table_of
from fledged.showing.spreadsheet import cells
from fledged.training.train import train
from fledged.workspace import DEFAULT, Workspace
from fledged.writing import write_bytes

_TIMED = 15  # photos, one by one
_FLIPS = 24  # photos of either kind that the page shows of a pair
_PAIRS = 10  # pairs whose photos it shows


def compare(
    *subjects: Run | Bundle | str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    backbones: Sequence[str] = (),
    modes: Sequence[str] = (),
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    settings: Mapping[str, object] | None = None,
) -> Comparison:
    """Models judged on the same photos: the test split of their dataset, or a labelled folder; with a page.

    `backbones` and `modes` are trained on the newest dataset in all combinations, with these `settings` of
    `config.TrainConfig` (what was trained before is not trained again). Without either and without subjects, all runs
    of the newest run's dataset are compared. Raises ConfigError if there are fewer than two.
    """
    workspace = Workspace(work)
    trained = [
        train(work=work, report=report, **{**(settings or {}), "backbone": backbone, "mode": mode})  # type: ignore[arg-type]
        for backbone, mode in itertools.product(backbones or ("auto",), modes or ("transfer",))
        if backbones or modes
    ]
    wanted: list[Run | Bundle | str | os.PathLike[str]] = [*subjects, *trained]
    if not wanted:
        newest = workspace.load(Run)
        runs = sorted(workspace.all(Run), key=lambda run: (run.created_at, run.id))
        wanted = [run for run in runs if run.dataset_id == newest.dataset_id]
    named = {found.name: (subject, found) for subject in wanted for found in [find_subject(workspace, subject)]}
    chosen = [found for _, found in named.values()]
    if len(chosen) < 2:
        raise ConfigError(
            f"There {'is only one model' if chosen else 'is no model'} to compare",
            where=workspace.root,
            remedy="Name two runs or bundles, or let some be trained: "
            "fledged compare --backbones mobilenet_v2,resnet18 --modes transfer,finetune",
        )
    _check_photos(chosen, folder)
    reports = [evaluate(subject, folder, work=work, report=report) for subject, _ in named.values()]
    contenders = [_contender(subject, told, workspace) for subject, told in zip(chosen, reports, strict=True)]
    order = sorted(range(len(chosen)), key=lambda i: -contenders[i].accuracy.value)
    judged = [reports[i] for i in order]
    photos = {photo.path: photo for photo in exam_of(workspace, chosen[0], folder).photos}
    both = list(itertools.combinations(judged, 2))
    flips = [flips_of(first, second, photos, _FLIPS) for first, second in both[:_PAIRS]]
    place = workspace.root / "comparisons" / _name([*(one.id for one in judged)])
    compared = Comparison(
        source=judged[0].source,
        contenders=tuple(contenders[i] for i in order),
        pairs=tuple(pair_of(first, second) for first, second in both),
        page=str(place / "compare.html"),
    )
    _write(compared, flips, judged, place)
    workspace.share(place)
    return compared


def _write(compared: Comparison, flips: Sequence[Flips], judged: Sequence[Report], place: Path) -> None:
    shown = (photo for one in flips for photo in (*one.only_first, *one.only_second))
    address, is_beside = keep((photo.thumbnail for photo in shown if photo.thumbnail), place)
    answers = io.BytesIO()
    cells(table_of(judged)).write_csv(answers)
    write_bytes(place / "answers.csv", answers.getvalue())
    write_bytes(place / "compare.json", compared.model_dump_json(indent=2).encode())
    write_bytes(place / "compare.html", render(compared, flips, address, is_beside).encode())


def _name(ids: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()[:12]


def _check_photos(chosen: Sequence[Subject], folder: str | os.PathLike[str] | None) -> None:
    datasets = {subject.dataset_id for subject in chosen}
    if folder is None and len(datasets) > 1:
        raise LakeError(
            f"These models have {len(datasets)} different test splits",
            where=", ".join(sorted(datasets)),
            remedy="Name a folder of labelled photos to compare them on: fledged compare … FOLDER",
        )


def _contender(subject: Subject, report: Report, workspace: Workspace) -> Contender:
    run = subject.run or workspace.find(Run, subject.run_id)
    size = size_of(run) if run else None
    mode: str = run.mode if run else ""
    if run and run.settings.unfreeze > 0:
        mode += f", last {f'{n} blocks' if (n := run.settings.unfreeze) > 1 else 'block'}"
    return Contender(
        name=subject.name,
        backbone=subject.backbone.name,
        mode=mode,
        accuracy=report.accuracy,
        macro_f1=report.macro_f1,
        megabytes=subject.file.stat().st_size / 1e6 if subject.file else None,
        n_parameters=size.n_parameters if size else None,
        n_trained=size.n_trained if size else None,
        gflops=size.gflops if size else None,
        train_s=run.seconds if run else None,
        ms_a_photo=None if subject.connect else _ms_a_photo(subject),
    )


def _ms_a_photo(subject: Subject) -> float:
    answer, side = subject.load(), subject.preprocess.size_px
    photos = np.random.default_rng(0).integers(0, 256, (_TIMED + 2, 1, side, side, 3), np.uint8)
    seconds = []
    for photo in photos:
        start_s = time.perf_counter()
        answer(photo)
        seconds.append(time.perf_counter() - start_s)
    return statistics.median(seconds[2:]) * 1e3  # the first ones warm up
