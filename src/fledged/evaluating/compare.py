"""The door: models side by side on the same photos."""

from __future__ import annotations

import contextlib
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
from fledged.config import resolve
from fledged.errors import ConfigError, LakeError, ProductError, WeightsError
from fledged.evaluating.evaluate import evaluate, exam_of
from fledged.measuring.comparison import Comparison, Contender
from fledged.measuring.subject import Subject, find_subject
from fledged.networks.backbones import build
from fledged.networks.census import size_of
from fledged.networks.weights import locate
from fledged.product_files import AnyProduct
from fledged.products import Bundle, Dataset, Report, Run
from fledged.settings.training import TrainConfig
from fledged.showing.album import keep
from fledged.showing.compare_page import render
from fledged.showing.flips import Flips, flips_of, pair_of, table_of
from fledged.showing.spreadsheet import cells
from fledged.training.stages import Stages, told_of
from fledged.training.train import train
from fledged.training.unusual import unusual
from fledged.workspace import DEFAULT, Workspace
from fledged.writing import write_bytes

_TIMED = 15  # photos, one by one
_FLIPS = 24  # photos of either kind that the page shows of a pair
_PAIRS = 10  # pairs whose photos it shows
_WEIGHTS = "Name a file for each backbone that needs one: --weights BACKBONE=FILE, which may be repeated."


def compare(
    *subjects: Run | Bundle | str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    backbones: Sequence[str] = (),
    modes: Sequence[str] = (),
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    settings: Mapping[str, object] | None = None,
    weights: Mapping[str, str] | None = None,
) -> Comparison:
    """Models judged on the same photos: the test split of their dataset, or a labelled folder; with a page.

    `backbones` and `modes` are trained on the newest dataset in all combinations, with these `settings` of
    `config.TrainConfig` (what was trained before is not trained again), from the `weights` of each backbone that is
    named there. Without either and without subjects, all runs of the newest run's dataset are compared. Raises
    ConfigError if there are fewer than two, and WeightsError before anything is trained.
    """
    workspace = Workspace(work)
    asked = _trainings(backbones, modes, settings or {}, weights or {})
    trained = [train(work=work, report=report, **each) for each in asked]  # type: ignore[arg-type]
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


def _trainings(
    backbones: Sequence[str], modes: Sequence[str], settings: Mapping[str, object], weights: Mapping[str, str]
) -> list[dict[str, object]]:
    """The settings of each; their weights are there and fit."""
    if not (backbones or modes):
        return []
    if strangers := sorted(weights.keys() - set(backbones)):
        raise ConfigError(
            f"There are weights for {', '.join(strangers)}, which is not compared",
            where="--weights",
            remedy=f"Name it among the backbones: --backbones {','.join([*backbones, *strangers])}",
        )
    asked = []
    for backbone, mode in itertools.product(backbones or ("auto",), modes or ("transfer",)):
        given = {**settings, "backbone": backbone, "mode": mode}
        asked.append(given | ({"weights": weights[backbone]} if backbone in weights else {}))
    # Not after the first of them was trained for an hour.
    for each in {str(each["backbone"]): each for each in asked if each["mode"] != "scratch"}.values():
        try:
            build(locate(resolve(TrainConfig, each)))
        except WeightsError as error:
            raise WeightsError(error.what, where=error.where, remedy=_WEIGHTS) from error
    return asked


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
    stages = told_of(run) if run else None
    dataset = _here(Dataset, subject.dataset_id, workspace)
    return Contender(
        name=subject.name,
        backbone=subject.backbone.name,
        mode=_mode(run, stages) if run else "",
        settings=_settings(run, stages, dataset) if run and dataset else "",
        accuracy=report.accuracy,
        macro_f1=report.macro_f1,
        megabytes=subject.file.stat().st_size / 1e6 if subject.file else None,
        n_parameters=size.n_parameters if size else None,
        n_trained=size.n_trained if size else None,
        gflops=size.gflops if size else None,
        train_s=_train_s(run, stages, workspace) if run else None,
        ms_a_photo=None if subject.connect else _ms_a_photo(subject),
    )


def _here(kind: type[AnyProduct], product_id: str, workspace: Workspace) -> AnyProduct | None:
    """The product, if it is in this working folder."""
    with contextlib.suppress(ProductError):
        return workspace.load(kind, product_id)
    return None


def _mode(run: Run, stages: Stages | None) -> str:
    mode: str = run.mode
    if run.settings.unfreeze > 0:
        mode += f", last {f'{n} blocks' if (n := run.settings.unfreeze) > 1 else 'block'}"
    if stages is None:
        return mode
    number = [stage.run_id for stage in stages.stages].index(run.id) + 1
    return f"gradual, stage {number} of {len(stages.stages)}: {mode}"


def _settings(run: Run, stages: Stages | None, dataset: Dataset) -> str:
    """What is not as usual, without what gradual unfreezing has decided for its stages."""
    decided = {"start", "learning_rate", "cache.blocks"} if stages else set()
    return ", ".join(f"{name}={value}" for name, value, _ in unusual(run.settings, dataset) if name not in decided)


def _train_s(run: Run, stages: Stages | None, workspace: Workspace) -> float:
    """Up to the run, of a stage those before it included; without the range tests between them."""
    seconds = run.seconds
    for stage in stages.stages if stages else ():
        if stage.run_id == run.id:
            break
        before = _here(Run, stage.run_id, workspace)
        seconds += before.seconds if before else 0.0
    return seconds


def _ms_a_photo(subject: Subject) -> float:
    answer, side = subject.load(), subject.preprocess.size_px
    photos = np.random.default_rng(0).integers(0, 256, (_TIMED + 2, 1, side, side, 3), np.uint8)
    seconds = []
    for photo in photos:
        start_s = time.perf_counter()
        answer(photo)
        seconds.append(time.perf_counter() - start_s)
    return statistics.median(seconds[2:]) * 1e3  # the first ones warm up
