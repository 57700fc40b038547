"""A report for TensorBoard, below the working folder: figures, their pictures, and galleries of photos."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageDraw

from fledged import images
from fledged.errors import MissingExtra
from fledged.images import BadPhoto, UInt8Array
from fledged.measuring import photos as labelled
from fledged.measuring.photos import Photo
from fledged.pages.letters import lettered
from fledged.pages.words import percent
from fledged.products import Report
from fledged.settings.results import EvaluateConfig
from fledged.showing.pictures import PICTURES
from fledged.workspace import Workspace

_SIDE_PX, _LINE_PX, _ACROSS, _MOST = 176, 20, 6, 24


def require(config: EvaluateConfig) -> None:
    """Raises MissingExtra if a tracker is not installed: before the photos are judged, not after."""
    if config.track and importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra("track", "tensorboard")


def pass_on(report: Report, photos: Sequence[Photo], run_id: str, workspace: Workspace) -> Path:
    """The folder that TensorBoard reads, beside that of the run; a report that is there already is not repeated."""
    folder = workspace.root / "tracking" / "tensorboard" / run_id / f"report-{report.id}"
    if any(folder.glob("events.*")):
        return folder
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for name, value in _scalars(report):
            writer.add_scalar(f"evaluation/{name}", value, 0)
        for path in sorted((report.folder / PICTURES).glob("*.png")):
            with Image.open(path) as picture:
                writer.add_image(f"evaluation/{path.stem}", np.asarray(picture.convert("RGB")), 0, dataformats="HWC")
        for name, sheet in galleries(report, photos).items():
            writer.add_image(f"evaluation/{name}", sheet, 0, dataformats="HWC")
    return folder


def galleries(report: Report, photos: Sequence[Photo]) -> dict[str, UInt8Array]:
    """The most confident mistakes and the least confident right answers, as pictures; none where there is no photo."""
    answered = report.predictions().filter(pl.col("error").is_null())
    is_right = pl.col("label") == pl.col("predicted")
    chosen = {
        "mistakes": answered.filter(~is_right).sort("confidence", "path", descending=[True, False]),
        "close_calls": answered.filter(is_right).sort("confidence", "path"),
    }
    by_path = {photo.path: photo for photo in photos}
    return {name: _sheet(rows.head(_MOST), by_path) for name, rows in chosen.items() if rows.height}


def _scalars(report: Report) -> list[tuple[str, float]]:
    named = [("accuracy", report.accuracy.value), ("balanced_accuracy", report.balanced_accuracy)]
    named += [("macro_f1", report.macro_f1), ("log_loss", report.log_loss)]
    named += [("brier", report.overall.brier.value)] if report.overall else []
    return [*named, *((f"recall/{entry.label}", entry.recall.value) for entry in report.by_class if entry.support)]


def _sheet(rows: pl.DataFrame, by_path: dict[str, Photo]) -> UInt8Array:
    n_rows = -(-rows.height // _ACROSS)
    cell_px = _SIDE_PX + 2 * _LINE_PX
    sheet = Image.new("RGB", (_ACROSS * (_SIDE_PX + 8), n_rows * cell_px), "#ffffff")
    draw = ImageDraw.Draw(sheet)
    cells = rows.select("path", "label", "predicted", "confidence").rows()
    for i, (path, label, predicted, confidence) in enumerate(cells):
        x, y = (i % _ACROSS) * (_SIDE_PX + 8), (i // _ACROSS) * cell_px
        photo = by_path.get(path)
        picture = _small(photo) if photo else None
        if picture is not None:
            sheet.paste(picture, (x + (_SIDE_PX - picture.width) // 2, y + (_SIDE_PX - picture.height) // 2))
        for line, words in enumerate((f"is {label}", f"said {predicted}, {percent(confidence)}")):
            text, font = lettered(words, 13, _SIDE_PX)
            draw.text((x + 2, y + _SIDE_PX + line * 17 + 1), text, "#1c2024", font)
    return np.asarray(sheet)


def _small(photo: Photo) -> Image.Image | None:
    try:
        _, image = images.decode(labelled.read(photo), _SIDE_PX)
    except BadPhoto:
        return None
    image = image.convert("RGB")
    image.thumbnail((_SIDE_PX, _SIDE_PX))
    return image
