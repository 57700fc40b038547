"""The door: a Snapshot and its Review become a Dataset whose splits do not leak."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from fledged import progress
from fledged.config import resolve
from fledged.copies import copies_of
from fledged.engine import Engine, engine_of
from fledged.errors import ConfigError, LakeError, suggestion
from fledged.preparing.groups import AUTO, REASON_SEPARATOR, hint
from fledged.preparing.members import NEEDED, choose_members, leaking_groups
from fledged.preparing.memory import recall, remember
from fledged.preparing.shards import PHOTOS_PER_SHARD, write_shard
from fledged.products import SPLITS, Dataset, Review, Snapshot, Split
from fledged.scanning.changes import warn_of_changes
from fledged.settings.lake import PrepareConfig
from fledged.workspace import DEFAULT, Workspace, now, product_id
from fledged.writing import write_table

_LOG = logging.getLogger("fledged")

House = tuple[Workspace, progress.Report, Engine]


def prepare(
    snapshot: Snapshot | str | None = None,
    review: Review | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    measure_leak: bool = False,
    engine: Mapping[str, object] | None = None,
    **settings: object,
) -> Dataset:
    """Photos in train, val and test, alike ones together, and the reason of each photo that was left out.

    `review` without a snapshot brings its own; None for both is the newest review. A photo that was in a split before
    stays there. `measure_leak` finds what a random split would have claimed. `engine` (fields of
    `config.EngineConfig`) says where photos are shrunk, `settings` are the fields of `config.PrepareConfig`. Raises
    LakeError if a class has too few photos.
    """
    config = resolve(PrepareConfig, settings)
    on = replace(engine_of(engine), workers=config.workers)
    workspace = Workspace(work)
    report = report or progress.default()
    with workspace.lock():
        if not isinstance(review, Review):
            review = workspace.load(Review, review)
        if not isinstance(snapshot, Snapshot):
            snapshot = workspace.load(Snapshot, snapshot or review.snapshot_id)
        if review.snapshot_id != snapshot.id:
            raise LakeError(
                f"Review {review.id} is of another snapshot ({review.snapshot_id})",
                where=f"snapshot {snapshot.id}",
                remedy="Run: fledged review",
            )
        warn_of_changes(snapshot)
        if review.log_sha256 != workspace.decisions_sha256():
            _LOG.warning(
                "Decisions were made since review %s, which does not know them: fledged review does", review.id
            )
        dataset = _prepare(snapshot, review, config, (workspace, report, on))
        if measure_leak:
            # Imported here: it needs torch, which preparing does not.
            from fledged.preparing.leak import measure

            leak = measure(dataset, workspace, report)
            if leak != dataset.leak:
                dataset = workspace.save(dataset.model_copy(update={"leak": leak}))
        return dataset


def _check_dropped(snapshot: Snapshot, review: Review, config: PrepareConfig) -> None:
    """A class that is to be left out has a folder, or was given by somebody: a slip of the pen would leave it in."""
    known = {*snapshot.labels, *review.decisions()["label"].drop_nulls()}
    for label in config.drop_classes:
        if label not in known:
            raise ConfigError(
                f"There is no class `{label}`", where="--drop-classes", remedy=suggestion(label, dict.fromkeys(known))
            )


def _prepare(snapshot: Snapshot, review: Review, config: PrepareConfig, house: House) -> Dataset:
    workspace = house[0]
    start_s = time.monotonic()
    _check_dropped(snapshot, review, config)
    before = recall(workspace, config)
    members = choose_members(snapshot.photos(list(NEEDED)), review.findings(), review.decisions(), config, before)
    remember(workspace, config, before, members)
    # What is remembered takes part in the answer, so the answer is part of the name.
    answer = hashlib.sha256(members["split"].fill_null("").str.join(",").item().encode()).hexdigest()
    settings = config.model_dump(mode="json", exclude={"workers"})
    dataset_id = product_id(Dataset, snapshot.id, review.id, settings, answer)
    if (earlier := workspace.find(Dataset, dataset_id)) is not None:
        return earlier
    if config.group_by == AUTO and (name := hint(members["path"])):
        _LOG.warning(
            "Names like %s seem to count frames of videos. To keep each video in one split: "
            r"fledged prepare --group-by '^(.+?)[ _.-]*\d+\.'",
            name,
        )
    classes = tuple(sorted(members.filter(pl.col("left_out").is_null())["label"].unique()))
    folder = workspace.folder("dataset", dataset_id)
    members = _write_shards(members.drop("part"), classes, snapshot, folder, config, house)
    write_table(folder / "members.parquet", members)
    used = members.filter(pl.col("split").is_not_null())
    return workspace.save(
        Dataset(
            id=dataset_id,
            version=Dataset.format_version,
            created_at=now(),
            seconds=time.monotonic() - start_s,
            snapshot_id=snapshot.id,
            review_id=review.id,
            lake=snapshot.lake,
            classes=classes,
            photos_by_split=_photos_by_split(members, classes),
            n_groups=used["group"].n_unique(),
            n_leaks=len(leaking_groups(members)),
            left_out=_left_out(members),
            tied=_tied(used),
            shorter_side_px=config.shorter_side_px,
            settings=config,
        )
    )


def _write_shards(
    members: pl.DataFrame,
    classes: tuple[str, ...],
    snapshot: Snapshot,
    folder: Path,
    config: PrepareConfig,
    house: House,
) -> pl.DataFrame:
    """The members, those without a shrunk copy now left out; every split's shards are written on the way."""
    indices = {label: index for index, label in enumerate(classes)}
    members = members.with_columns(
        class_index=pl.when(pl.col("left_out").is_null()).then(
            pl.col("label").replace_strict(indices, default=None, return_dtype=pl.Int32)
        )
    )
    used = members.filter(pl.col("split").is_not_null()).sort("split", "path")
    as_scanned = used.join(snapshot.photos(["path", "n_bytes", "mtime_ns"]), on="path", maintain_order="left")
    size, (workspace, report, on) = (config.shorter_side_px, config.jpeg_quality), house
    shrunk = copies_of(as_scanned, snapshot.lake, size, on, workspace, report)
    errors: dict[str, str] = {}
    for split in sorted(SPLITS):
        part = used.filter(pl.col("split") == split)
        for number, start in enumerate(range(0, part.height, PHOTOS_PER_SHARD)):
            rows = part.slice(start, PHOTOS_PER_SHARD)
            # zip stops at the rows of this shard and leaves the rest of `shrunk` to the next.
            copies = [copy for _, copy in zip(range(rows.height), shrunk, strict=False)]
            errors |= {path: copy.error for path, copy in zip(rows["path"], copies, strict=True) if copy.error}
            rows = rows.with_columns(jpeg=pl.Series([copy.jpeg for copy in copies], dtype=pl.Binary))
            write_shard(folder, split, number, rows.filter(pl.col("jpeg").is_not_null()), classes)
    if not errors:
        return members
    left_out = pl.col("path").replace_strict(errors, default=pl.col("left_out"), return_dtype=pl.String)
    return members.with_columns(left_out=left_out).with_columns(
        split=pl.when(pl.col("left_out").is_null()).then("split"),
        class_index=pl.when(pl.col("left_out").is_null()).then("class_index"),
    )


def _photos_by_split(members: pl.DataFrame, classes: tuple[str, ...]) -> dict[Split, dict[str, int]]:
    counts = {
        (split, label): n for split, label, n in members.group_by("split", "label").len().rows() if split is not None
    }
    return {split: {label: counts.get((split, label), 0) for label in classes} for split in SPLITS}


def _left_out(members: pl.DataFrame) -> dict[str, int]:
    # "unreadable: truncated" and "unreadable: empty file" are one reason in the summary, and two in the table.
    reason = pl.col("left_out").str.split(":").list.first()
    counts = members.filter(pl.col("left_out").is_not_null()).group_by(reason).len().sort("left_out").rows()
    return {str(name): int(n) for name, n in counts}


def _tied(used: pl.DataFrame) -> dict[str, int]:
    reasons = used["group_reason"].drop_nulls().str.split(REASON_SEPARATOR).explode()
    return {str(reason): int(n) for reason, n in reasons.value_counts().sort("group_reason").rows()}
