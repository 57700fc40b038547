"""Photos beside their augmented views, as a picture and a page: what a recipe does, before anything is trained."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image, ImageDraw, ImageFont

from fledged import images
from fledged.augmenting.views import view
from fledged.config import resolve
from fledged.errors import naming
from fledged.pages.letters import lettered
from fledged.pages.template import environment
from fledged.products import Dataset, Preprocess
from fledged.recipes import STEPS
from fledged.settings.augmenting import AugmentConfig
from fledged.settings.training import TrainConfig
from fledged.workspace import DEFAULT, Workspace
from fledged.writing import write_bytes

N_VIEWS = 6

_MAX_CLASSES = 24
_TILE_PX = 160
_GAP_PX = 8
_TEXT_PX = 26
_PAPER, _INK = (255, 255, 255), (28, 32, 36)


@dataclass(frozen=True, slots=True)
class Shown:
    """Where the picture and the page are, and what is on them."""

    picture: Path
    page: Path
    n_photos: int
    n_views: int
    augment: AugmentConfig


@dataclass(frozen=True, slots=True)
class Row:
    """A photo of a class: itself as served, then its views, all of one size."""

    label: str
    pictures: list[Image.Image]

    @property
    def uris(self) -> Iterator[str]:
        """The pictures as data URIs."""
        for picture in self.pictures:
            yield f"data:image/jpeg;base64,{base64.b64encode(images.to_jpeg(picture, 88)).decode()}"


def show_augmented(
    dataset: Dataset | str | None = None, *, work: str | os.PathLike[str] = DEFAULT, **settings: object
) -> Shown:
    """A picture and a page of training photos of each class with six augmented views of each. Nothing is trained.

    `settings` are the fields of `config.TrainConfig`.
    """
    workspace = Workspace(work)
    config = resolve(TrainConfig, settings)
    augment = config.augment.resolved()
    if not isinstance(dataset, Dataset):
        dataset = workspace.load(Dataset, dataset)
    rows = _rows(dataset, config, augment, N_VIEWS + 1)
    folder = workspace.root / "augmented" / dataset.id
    picture, page = folder / f"{augment.preset}.png", folder / f"{augment.preset}.html"
    write_bytes(picture, _png(_sheet(rows)))
    write_bytes(page, _page(rows, augment, dataset).encode())
    workspace.share(picture, page)
    return Shown(picture, page, len(rows), N_VIEWS, augment)


def sheet_of(dataset: Dataset, config: TrainConfig) -> Image.Image:
    """The picture alone; one column where nothing is varied."""
    augment = config.augment.resolved()
    return _sheet(_rows(dataset, config, augment, N_VIEWS + 1 if augment.recipe else 1))


def _rows(dataset: Dataset, config: TrainConfig, augment: AugmentConfig, n_tiles: int) -> list[Row]:
    how = Preprocess(size_px=config.input.size_px, resize=config.input.resize)
    return [
        Row(dataset.classes[label], [_tile(jpeg, how, number, augment) for number in range(n_tiles)])
        for jpeg, label in _chosen(dataset).select("jpeg", "label").rows()
    ]


def _chosen(dataset: Dataset) -> pl.DataFrame:
    """jpeg, label and sha256 of the training photos to show, those of a class together; the same ones every time."""
    with naming(dataset.folder):
        return _read_chosen(dataset)


def _read_chosen(dataset: Dataset) -> pl.DataFrame:
    shards = pl.concat([pl.scan_parquet(path) for path in dataset.shards("train")])
    # A sha256 is as good as drawing lots. It comes first, without the photos: they may be more than memory holds.
    keys = shards.select("sha256", "label").collect().unique().sort("label", "sha256")
    of_class = 2 if len(dataset.classes) <= _MAX_CLASSES // 2 else 1
    wanted = keys.filter(pl.col("label") < _MAX_CLASSES).group_by("label", maintain_order=True).head(of_class)
    found = shards.join(wanted.lazy(), on=["sha256", "label"], how="semi")
    jpegs = found.select(pl.col("image").struct.field("bytes").alias("jpeg"), "label", "sha256").collect()
    return jpegs.unique(["sha256", "label"]).sort("label", "sha256")


def _tile(jpeg: bytes, how: Preprocess, number: int, augment: AugmentConfig) -> Image.Image:
    shown = Image.fromarray(view(jpeg, how, number, augment.recipe))
    return shown.resize((_TILE_PX, _TILE_PX), Image.Resampling.LANCZOS)


def _sheet(rows: list[Row]) -> Image.Image:
    """All rows as one picture, with the class above each row and the view's number above each column."""
    n_tiles = len(rows[0].pictures)
    width = _GAP_PX + n_tiles * (_TILE_PX + _GAP_PX)
    row_height = _TEXT_PX + _TILE_PX + _GAP_PX
    sheet = Image.new("RGB", (width, _TEXT_PX + len(rows) * row_height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number in range(n_tiles):
        draw.text((_GAP_PX + number * (_TILE_PX + _GAP_PX), 6), _title(number), _INK, font)
    for place, row in enumerate(rows):
        top = _TEXT_PX + place * row_height
        name, of_name = lettered(row.label, 14, width - 2 * _GAP_PX)
        draw.text((_GAP_PX, top + 4), name, _INK, of_name)
        for number, picture in enumerate(row.pictures):
            sheet.paste(picture, (_GAP_PX + number * (_TILE_PX + _GAP_PX), top + _TEXT_PX))
    return sheet


def _title(number: int) -> str:
    return f"view {number}" if number else "as served"


def _page(rows: list[Row], augment: AugmentConfig, dataset: Dataset) -> str:
    steps = [(step.step, STEPS[step.step].__doc__, step.model_dump(exclude={"step"})) for step in augment.recipe]
    by_class = {row.label: [other for other in rows if other.label == row.label] for row in rows}
    return (
        environment(Path(__file__).parent)
        .get_template("before_after.html.jinja")
        .render(
            augment=augment,
            steps=steps,
            by_class=by_class,
            n_more=len(dataset.classes) - len(by_class),
            dataset=dataset,
            n_views=N_VIEWS,
            title=_title,
        )
    )


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
