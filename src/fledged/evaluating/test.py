"""The door: what a model says of unlabelled photos, as a picture and a page to look at."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fledged import places, progress
from fledged.config import resolve
from fledged.engine import n_workers
from fledged.errors import LakeError
from fledged.measuring import photos as labelled
from fledged.measuring.answering import Answers, answer
from fledged.measuring.explanation import Grid
from fledged.measuring.subject import find_subject
from fledged.pages import words
from fledged.pages.thumbnails import Thumbnail
from fledged.predicting.files import find_photos
from fledged.products import Bundle, Run
from fledged.settings.results import EvaluateConfig, GridConfig
from fledged.showing.album import Address, keep
from fledged.showing.gallery import thumbnail
from fledged.showing.sheets import png, sheet
from fledged.showing.spreadsheet import cells
from fledged.showing.templates import template
from fledged.workspace import DEFAULT, Workspace
from fledged.writing import write_bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo on the page, and what the model said about it."""

    path: str
    predicted: str
    confidence: float
    accepted: bool  # else it is unlike all that the model was trained on
    thumbnail: Thumbnail | None


def test(
    folder: str | os.PathLike[str],
    subject: Run | Bundle | str | os.PathLike[str] | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    **settings: object,
) -> Grid:
    """What a model says of the photos in a folder that nobody has labelled: a picture, a page and a table.

    `subject` is a run, a bundle, `run:ID`, `bundle:ID` or a bundle's folder; by default the newest run. `settings` are
    the fields of `config.GridConfig`. For labelled photos there is `evaluate`, for answers alone
    `load(…).predict_many`. Raises LakeError where no photo can be read.
    """
    config = resolve(GridConfig, settings)
    workspace, root = Workspace(work), places.resolved(folder)
    judged = find_subject(workspace, subject)
    photos = labelled.unlabelled(found := find_photos([root]), root.rpartition("/")[0] if found == [root] else root)
    answers = answer(photos, judged, resolve(EvaluateConfig, {}), report or progress.default())
    if not len(answers.answered):
        raise LakeError("There is no photo that can be read", where=folder, remedy="Name a folder of photos.")
    asked = f"{judged.name}\n{config.model_dump_json()}\n{places.name_of(root)}\n{labelled.content_hash(photos)}"
    place = workspace.root / "tests" / hashlib.sha256(asked.encode()).hexdigest()[:12]
    by_confidence = np.argsort(answers.confidence, kind="stable")[: config.gallery].tolist()
    in_picture = (
        np.linspace(0, len(answers.answered) - 1, min(config.picture, len(answers.answered))).round().astype(int)
    )
    shown = _shown(answers, sorted({*by_confidence, *in_picture.tolist()}))
    write_bytes(place / "grid.png", png(_grid([shown[int(row)] for row in in_picture])))
    table = io.BytesIO()
    cells(answers.table().drop("label")).write_csv(table)
    write_bytes(place / "predictions.csv", table.getvalue())
    on_page = [shown[row] for row in by_confidence]
    address, is_beside = keep((one.thumbnail for one in on_page if one.thumbnail), place)
    write_bytes(
        place / "test.html", _page(answers, on_page, judged.name, places.name_of(root), (address, is_beside)).encode()
    )
    workspace.share(place)
    counts = Counter(answers.classes[index] for index in answers.predicted[answers.accepted])
    return Grid(
        subject=judged.name,
        n_photos=len(answers.answered),
        n_unreadable=len(photos) - len(answers.answered),
        by_class={label: counts[label] for label in answers.classes},
        n_unknown=int((~answers.accepted).sum()),
        picture=str(place / "grid.png"),
        page=str(place / "test.html"),
        table=str(place / "predictions.csv"),
    )


def _shown(answers: Answers, rows: list[int]) -> dict[int, Shown]:
    positions = answers.answered
    photos = [answers.photos[positions[row]] for row in rows]
    with ThreadPoolExecutor(n_workers(0)) as pool:
        thumbnails = list(pool.map(thumbnail, photos))
    predicted, confidence, accepted = answers.predicted, answers.confidence, answers.accepted
    return {
        row: Shown(photo.path, answers.classes[predicted[row]], float(confidence[row]), bool(accepted[row]), small)
        for row, photo, small in zip(rows, photos, thumbnails, strict=True)
    }


def _grid(shown: list[Shown]) -> Image.Image:
    tiles = [
        (Image.open(io.BytesIO(one.thumbnail.jpeg)), words.answer(one.predicted, one.confidence, one.accepted))
        for one in shown
        if one.thumbnail
    ]
    return sheet(tiles, max(1, math.ceil(math.sqrt(len(tiles)))))


def _page(answers: Answers, shown: list[Shown], subject: str, folder: str, album: tuple[Address, bool]) -> str:
    counts = Counter(answers.predicted[answers.accepted].tolist())
    groups = [
        (label, counts[index], [one for one in shown if one.accepted and one.predicted == label])
        for index, label in enumerate(answers.classes)
    ]
    errors = [(photo.path, error) for photo, error in zip(answers.photos, answers.errors, strict=True) if error]
    return template("looking/test.html.jinja").render(
        groups=sorted(groups, key=lambda group: -group[1]),
        n_photos=len(answers.answered),
        n_shown=len(shown),
        n_unknown=int((~answers.accepted).sum()),
        unknown=[one for one in shown if not one.accepted],
        errors=errors,
        subject=subject,
        folder=folder,
        address=album[0],
        is_beside=album[1],
    )
