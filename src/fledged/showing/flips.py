"""Photos that one of two models got right and the other wrong: what a difference of accuracy is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from fledged.engine import n_workers
from fledged.measuring.comparison import Pair
from fledged.measuring.metrics import mcnemar
from fledged.measuring.photos import Photo
from fledged.pages.thumbnails import Thumbnail
from fledged.products import Report
from fledged.showing.gallery import thumbnail


@dataclass(frozen=True, slots=True)
class Flip:
    """A photo and what both models said of it."""

    path: str
    label: str
    first: str
    first_confidence: float
    second: str
    second_confidence: float
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True)
class Flips:
    """Of a pair: the photos to show, those that the right one was surest of first."""

    pair: Pair
    only_first: tuple[Flip, ...]
    only_second: tuple[Flip, ...]


def answers_of_both(first: Report, second: Report) -> pl.DataFrame:
    """A row a photo that both answered: path, label, predicted and confidence of each, which of them is right."""
    kept = ("path", "label", "predicted", "confidence")
    one, other = (report.predictions().select(kept).drop_nulls("predicted") for report in (first, second))
    both = one.join(other.drop("label"), on="path", suffix="_2")
    return both.with_columns(
        right=pl.col("predicted") == pl.col("label"), right_2=pl.col("predicted_2") == pl.col("label")
    )


def pair_of(first: Report, second: Report) -> Pair:
    """How often each is right where the other is wrong, and how probable that is of equal models."""
    both = answers_of_both(first, second)
    only_first = int((both["right"] & ~both["right_2"]).sum())
    only_second = int((~both["right"] & both["right_2"]).sum())
    return Pair(
        first=first.subject,
        second=second.subject,
        n=both.height,
        only_first=only_first,
        only_second=only_second,
        p_value=mcnemar(only_first, only_second),
    )


def flips_of(first: Report, second: Report, photos: Mapping[str, Photo], limit: int) -> Flips:
    """The photos on which the two differ in being right, at most `limit` of either kind."""
    both = answers_of_both(first, second)
    only_first = both.filter(pl.col("right") & ~pl.col("right_2")).sort("confidence", "path", descending=[True, False])
    only_second = both.filter(~pl.col("right") & pl.col("right_2")).sort(
        "confidence_2", "path", descending=[True, False]
    )
    return Flips(
        pair_of(first, second), _shown(only_first.head(limit), photos), _shown(only_second.head(limit), photos)
    )


def table_of(reports: Sequence[Report]) -> pl.DataFrame:
    """A row a photo: path, label, and each model's answer and confidence, for whoever wants to look closer."""
    table = reports[0].predictions().select("path", "label")
    for report in reports:
        answers = report.predictions().select(
            "path",
            pl.col("predicted").alias(report.subject),
            pl.col("confidence").alias(f"{report.subject} confidence"),
        )
        table = table.join(answers, on="path", how="left", maintain_order="left")
    return table


def _shown(rows: pl.DataFrame, photos: Mapping[str, Photo]) -> tuple[Flip, ...]:
    with ThreadPoolExecutor(n_workers(0)) as pool:
        thumbnails = list(pool.map(lambda path: thumbnail(photos[path]) if path in photos else None, rows["path"]))
    return tuple(
        Flip(
            path=row["path"],
            label=row["label"],
            first=row["predicted"],
            first_confidence=row["confidence"],
            second=row["predicted_2"],
            second_confidence=row["confidence_2"],
            thumbnail=small,
        )
        for row, small in zip(rows.iter_rows(named=True), thumbnails, strict=True)
    )
