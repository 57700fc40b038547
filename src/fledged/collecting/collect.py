"""The door: a plan, or what people have, becomes photos in a lake."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fledged import naming_extras, places, progress
from fledged.collecting.attempts import Attempts
from fledged.collecting.intake import Intake
from fledged.collecting.offers import Link, Photo
from fledged.collecting.sources import Opened, open_source
from fledged.collecting.store import filling
from fledged.collecting.tally import Collected, Tally
from fledged.config import resolve
from fledged.errors import LakeError
from fledged.settings.lake import CollectConfig


def collect(
    source: str | os.PathLike[str],
    lake: str | os.PathLike[str],
    *,
    label: str | None = None,
    retry_failed: bool = False,
    report: progress.Report | None = None,
    **settings: object,
) -> Collected:
    """Put the photos that `source` offers into the classes of `lake`, each with a line of where it came from.

    `source` is a plan (.toml), a zip or tar, a CSV table, Parquet files, a list of addresses, or a folder; with
    `label`, all of it is of one class. What is in the lake already is neither fetched nor written again, whatever
    stopped an earlier run. `retry_failed` also asks again for what was refused for good, or fetched and removed since.
    `settings` are the fields of `config.CollectConfig`. Raises ConfigError if the plan is wrong, LakeError if nothing
    could be collected at all.
    """
    config = resolve(CollectConfig, settings)
    start_s = time.monotonic()
    for place in (source, lake):
        if places.looks_remote(place) and places.is_remote(places.resolved(place)):
            raise LakeError(
                "Photos are gathered from and into folders of this machine only",
                where=places.resolved(place),
                remedy="Fill a folder, and copy it there: aws s3 sync PHOTOS s3://BUCKET/PHOTOS.",
            )
    origin, root = Path(source).expanduser().resolve(), Path(lake).expanduser().resolve()
    if origin == root or root in origin.parents or (origin.is_dir() and origin in root.parents):
        raise LakeError("Source and photos lie in each other", where=root, remedy="Fill another folder.")
    opened = open_source(origin, label, config)
    tally = Tally(opened.limits)
    with filling(root, keep_splits=config.keep_splits) as store, Attempts(root, retry_failed=retry_failed) as attempts:
        try:
            _take_all(opened, Intake(store, attempts, tally, config, retry_failed), report or progress.default())
        finally:  # also after Ctrl-C
            table = tally.save(root)
    collected = tally.result(str(origin), root, table, time.monotonic() - start_s)
    if not collected.n_new + collected.n_known:
        raise _nothing(collected, tally.advice())
    return collected


def _take_all(opened: Opened, intake: Intake, report: progress.Report) -> None:
    links: list[Link] = []
    for done, offer in enumerate(opened.offers.items, start=1):
        match offer:
            case Photo():
                intake.take_photo(offer)
            case Link():
                links.append(offer)
            case _:
                intake.tally.refuse(offer)
        report("Taking in photos", done, opened.offers.total)
    if links or opened.searches:
        with naming_extras():
            from fledged.collecting.links import take_links
        take_links(intake, links, opened.searches, report)


def _nothing(collected: Collected, advice: str) -> LakeError:
    reasons = [f"{n:,} {reason}" for reason, n in (collected.refused | collected.waiting).items()]
    if not reasons:
        return LakeError("There is nothing to collect", where=collected.source, remedy="Check what it holds.")
    return LakeError(
        f"Nothing could be collected ({'; '.join(reasons[:3])})",
        where=collected.source,
        remedy=f"{advice}{collected.refused_table} says of each why.",
    )
