"""The door: a Snapshot becomes a Review, a ranked list of what is wrong with the lake and the decisions about it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import polars as pl

from fledged import progress
from fledged.config import resolve
from fledged.embedding.engines import SERVES
from fledged.engine import Engine, engine_of
from fledged.errors import ConfigError, naming
from fledged.networks.weights import locate
from fledged.products import Review, Snapshot
from fledged.reviewing import findings
from fledged.reviewing.advice import REVIEWER as ADVICE
from fledged.reviewing.advice import apply_advice
from fledged.reviewing.decisions import standing_decisions
from fledged.reviewing.finders import VERSION, find
from fledged.reviewing.log import DecisionLog
from fledged.reviewing.looks import Eyes, seeing
from fledged.scanning.changes import warn_of_changes
from fledged.sealed import is_intact, write_sealed
from fledged.settings.lake import PrepareConfig, ReviewConfig
from fledged.settings.training import TrainConfig
from fledged.training.concrete import run_by
from fledged.workspace import DEFAULT, Workspace, now, product_id
from fledged.writing import write_table


def review(
    snapshot: Snapshot | str | None = None,
    *,
    apply: Literal["advice"] | None = None,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    train: Mapping[str, object] | None = None,
    engine: Mapping[str, object] | None = None,
    **settings: object,
) -> Review:
    """What is wrong with the lake: unreadable, duplicate, contradictory and odd photos; nothing is changed.

    `snapshot` is one, its id, or None for the newest. With `apply="advice"`, what the findings advise is decided where
    no person has decided. `train` are settings of the training to come, whose backbone the photos are looked at with;
    `engine` (fields of `config.EngineConfig`) says where, `settings` are the fields of `config.ReviewConfig`.
    """
    if apply not in (None, "advice"):
        raise ConfigError(f"There is nothing to apply that is called `{apply}`", remedy="Known: advice.")
    config, on = resolve(ReviewConfig, settings), engine_of(engine)
    workspace = Workspace(work)
    start_s = time.monotonic()
    with workspace.lock():
        if not isinstance(snapshot, Snapshot):
            snapshot = workspace.load(Snapshot, snapshot)
        warn_of_changes(snapshot)
        photos = snapshot.photos()
        eyes = _settled(_eyes(train or {}, on), snapshot, photos, workspace)
        if apply:
            found = _findings_of(snapshot, config, eyes, workspace, report)
            apply_advice(DecisionLog(workspace.decisions, workspace.sync_decisions), photos, found)
        log_sha256 = workspace.decisions_sha256()
        standing = standing_decisions(workspace.decisions, photos, is_sample=snapshot.sample > 0)
        decisions = standing.decisions
        review_id = product_id(Review, snapshot.id, *_ways(config, eyes), decisions.rows(), standing.ignored)
        if (earlier := workspace.find(Review, review_id)) is not None:
            if earlier.log_sha256 == log_sha256:
                return earlier
            # Other lines that say the same, such as a decision and its undoing.
            return workspace.save(earlier.model_copy(update={"log_sha256": log_sha256}))
        found = _findings_of(snapshot, config, eyes, workspace, report)
        folder = workspace.folder("review", review_id)
        write_table(folder / "findings.parquet", found)
        write_table(folder / "decisions.parquet", decisions)
        counts = found.group_by("kind").len().sort("kind").rows()
        return workspace.save(
            Review(
                id=review_id,
                version=Review.format_version,
                created_at=now(),
                seconds=time.monotonic() - start_s,
                snapshot_id=snapshot.id,
                findings_by_kind={str(kind): int(n) for kind, n in counts},
                n_decisions=decisions.height,
                n_advised=int((decisions["reviewer"] == ADVICE).sum()),
                ignored_decisions=standing.ignored,
                log_sha256=log_sha256,
            )
        )


def _eyes(settings: Mapping[str, object], on: Engine) -> Eyes:
    """Those of the training to come. One from scratch has none, and takes those that there are."""
    train = resolve(TrainConfig, settings)
    if train.mode == "scratch":
        train = train.model_copy(update={"mode": "transfer", "backbone": "auto", "weights": ""})
    return Eyes(train, resolve(PrepareConfig, {}), locate(train), on)


def _settled(eyes: Eyes, snapshot: Snapshot, photos: pl.DataFrame, workspace: Workspace) -> Eyes:
    """With the engine that auto stands for: it is part of what a review is."""
    train = eyes.train
    if train.cache.engine != "auto":
        return eyes
    chosen = seeing(eyes, photos.filter(pl.col("error").is_null()), snapshot.lake, workspace).engine
    return replace(eyes, train=train.model_copy(update={"cache": run_by(train.cache, chosen)}))


def _findings_of(
    snapshot: Snapshot, config: ReviewConfig, eyes: Eyes, workspace: Workspace, report: progress.Report | None
) -> pl.DataFrame:
    """The findings, remembered: decisions make a new review, but they change no finding."""
    memory = workspace.cache(f"findings/{product_id(Review, snapshot.id, *_ways(config, eyes))}.parquet")
    try:
        if is_intact(memory):
            with naming(memory):
                return pl.read_parquet(memory).select(*findings.TYPES)
    except (FileNotFoundError, pl.exceptions.PolarsError):
        pass  # it is found again, as where the memory is damaged
    found = find(snapshot, config, eyes, workspace, report or progress.default())
    write_sealed(memory, found)
    return found


def _ways(config: ReviewConfig, eyes: Eyes) -> list[object]:
    """All that findings depend on beside the snapshot."""
    copies = (eyes.copies.shorter_side_px, eyes.copies.jpeg_quality)
    return [
        VERSION,
        config,
        eyes.source.backbone,
        eyes.source.sha256,
        eyes.train.input.size_px,
        eyes.train.input.resize,
        copies,
        *([engine] if (engine := eyes.train.cache.engine) != SERVES else []),
    ]
