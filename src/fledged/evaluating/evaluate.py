"""The door: a run or a bundle becomes a Report."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from fledged import places, progress
from fledged.config import resolve
from fledged.engine import LOCAL, Engine, engine_of
from fledged.errors import LakeError, ProductError
from fledged.measuring import photos
from fledged.measuring.answering import Answers, answer
from fledged.measuring.calibration import calibration_of
from fledged.measuring.context import context_of
from fledged.measuring.figures import Figures, figures_of
from fledged.measuring.photos import Photo
from fledged.measuring.subject import Subject, find_subject
from fledged.pages import words
from fledged.products import Bundle, Dataset, LeftOutClass, Report, Run
from fledged.settings.results import EvaluateConfig
from fledged.showing import tracking
from fledged.showing.album import keep
from fledged.showing.exhibits import exhibits_of
from fledged.showing.page import Story, render
from fledged.showing.pictures import PICTURES, pictures
from fledged.workspace import DEFAULT, Workspace, now, product_id
from fledged.writing import write_bytes, write_table


@dataclass(frozen=True, slots=True)
class Exam:
    """The photos to judge on, and where they come from."""

    photos: list[Photo]
    source: str
    identity: str  # equal for equal photos
    where: str
    dataset: Dataset | None
    folder: str | None = None  # its name; None for the test split
    n_seen: int | None = None
    folders_without_class: dict[str, int] = field(default_factory=dict)


def evaluate(
    subject: Run | Bundle | str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    engine: Mapping[str, object] | None = None,
    **settings: object,
) -> Report:
    """How a model does on photos that no choice has seen: the test split, or with `folder` any labelled folder.

    `subject` is a run, a bundle, `run:ID`, `bundle:ID`, a bundle's folder, `package:ID` (the very zip that Lambda is
    given) or the address of a served model; by default the newest run. `folder` holds one sub-folder a class, matched
    by name. `engine` (fields of `config.EngineConfig`) says where photos are decoded, `settings` are the fields of
    `config.EvaluateConfig`.
    Raises LakeError if there is no photo to judge on.
    """
    config = resolve(EvaluateConfig, settings)
    tracking.require(config)
    on = replace(engine_of(engine), workers=config.workers)
    workspace = Workspace(work)
    judged = find_subject(workspace, subject, sign=config.sign)
    exam = exam_of(workspace, judged, folder)
    with workspace.lock():
        made = report_on(judged, exam, workspace, config, report or progress.default(), on)
        if config.track:
            tracking.pass_on(made, exam.photos, judged.run_id, workspace)
        return made


def report_on(
    judged: Subject,
    exam: Exam,
    workspace: Workspace,
    config: EvaluateConfig,
    report: progress.Report,
    on: Engine = LOCAL,
) -> Report:
    """The Report of a model on these photos; the earlier one if this has been asked before."""
    report_id = product_id(
        Report, judged.name, exam.source, config.model_dump(mode="json", exclude={"track", "sign"}), exam.identity
    )
    if (earlier := workspace.find(Report, report_id)) is not None:
        return earlier
    start_s = time.monotonic()
    with _usual_cores(judged), ThreadPoolExecutor(1) as beside:
        # Answering leaves cores idle now and then, where decoders wait for the network or it for them.
        coming = beside.submit(
            context_of,
            judged,
            exam.photos,
            exam.dataset,
            workspace,
            is_folder=exam.folder is not None,
            with_learning=config.learning_curve,
        )
        in_turn = beside.submit(_left_out, judged, exam, workspace)
        answers = answer(exam.photos, judged, config, report, replace(on, sees=str(exam.where)))
    if not len(answers.answered):
        raise LakeError(
            f"None of the {words.photos(len(exam.photos))} to judge on can be read",
            where=exam.where,
            remedy=f"The first one: {answers.errors[0]}. Bring the files back, or scan the folder again.",
        )
    figures = figures_of(answers, judged.name, exam.source, exam.n_seen, exam.folders_without_class, coming.result())
    figures = _with_self_knowledge(figures, answers, judged, exam, in_turn.result())
    made_at = now()
    folder = workspace.folder("report", report_id)
    exhibits = exhibits_of(answers, judged, exam.dataset, config, workspace, report)
    address, is_beside = keep(exhibits.pictures(), folder)
    story = Story(report_id, made_at, figures, answers, judged, exam.dataset, exam.folder, exhibits, address, is_beside)
    write_table(folder / "predictions.parquet", answers.table())
    write_bytes(folder / "metrics.json", figures.model_dump_json(indent=2).encode())
    for name, picture in pictures(figures):
        write_bytes(folder / PICTURES / name, picture)
    write_bytes(folder / "report.html", render(story).encode())
    return workspace.save(
        Report(
            **figures.model_dump(include=set(Report.model_fields)),
            id=report_id,
            version=Report.format_version,
            created_at=made_at,
            seconds=time.monotonic() - start_s,
        )
    )


def _usual_cores(judged: Subject) -> AbstractContextManager[None]:
    """Nothing that is told to torch's threads in the block stays; a bundle is judged without torch."""
    if judged.run is None:
        return nullcontext()
    from fledged.networks.inference import usual_cores

    return usual_cores()


def _left_out(judged: Subject, exam: Exam, workspace: Workspace) -> tuple[LeftOutClass, ...]:
    """How well photos of each class are told from the others by who was not told of it."""
    if judged.unknown is None or judged.run is None or exam.dataset is None:
        return ()
    from fledged.measuring.unknown import left_out_of

    return left_out_of(judged.run, exam.dataset, workspace)


def _with_self_knowledge(
    figures: Figures, answers: Answers, judged: Subject, exam: Exam, left_out: tuple[LeftOutClass, ...]
) -> Figures:
    """With those of calibration and of refused photos, where the model has a temperature and a threshold."""
    added: dict[str, object] = {}
    if judged.calibration is not None:
        added["calibration"] = calibration_of(answers, judged.calibration)
    if judged.unknown is not None:
        from fledged.measuring.unknown import unknown_of, why_not

        added["unknown"] = unknown_of(answers, judged.unknown, why_not(judged.run, exam.dataset), left_out)
    return figures.model_copy(update=added)


def exam_of(workspace: Workspace, judged: Subject, folder: str | os.PathLike[str] | None) -> Exam:
    """The test split of the dataset that the model was made of, or a labelled folder."""
    return _test_split(workspace, judged) if folder is None else _labelled_folder(workspace, judged, folder)


def _test_split(workspace: Workspace, judged: Subject) -> Exam:
    dataset = workspace.load(Dataset, judged.dataset_id)
    chosen = photos.of_test_split(dataset, judged.classes)
    if not chosen:
        raise LakeError("The test split is empty", where=dataset.folder, remedy="Run: fledged prepare")
    return Exam(chosen, f"test split of dataset:{dataset.id}", dataset.id, dataset.lake, dataset)


def _labelled_folder(workspace: Workspace, judged: Subject, folder: str | os.PathLike[str]) -> Exam:
    root = places.resolved(folder)
    chosen, strangers = photos.of_folder(root, judged.classes)
    try:
        dataset = workspace.load(Dataset, judged.dataset_id)
    except ProductError:
        dataset = None  # a bundle that came from elsewhere: what it was trained on is not known here
    return Exam(
        photos=chosen,
        source=f"folder {places.name_of(root)}",
        identity=f"{photos.content_hash(chosen)} {strangers} {dataset is not None}",
        where=root,
        dataset=dataset,
        folder=places.name_of(root),
        n_seen=None if dataset is None else photos.n_seen(chosen, dataset),
        folders_without_class=strangers,
    )
