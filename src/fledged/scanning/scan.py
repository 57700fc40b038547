"""The door: a lake becomes a Snapshot."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields

import polars as pl

from fledged import engine, places, progress
from fledged.config import resolve
from fledged.engine import Engine, engine_of
from fledged.errors import ConfigError, LakeError
from fledged.products import Snapshot
from fledged.provenance import read_provenance
from fledged.reading import Spot, spots
from fledged.rows import Rows
from fledged.scanning import probe as probing
from fledged.scanning.census import Tables
from fledged.scanning.changes import counted, difference, newest, no_changes
from fledged.scanning.memory import PROBE_TYPES, SAME, limits, memory_of, remembered, to_remember
from fledged.scanning.provenance import COLUMNS, with_provenance
from fledged.scanning.walk import Listing, sampled, walk
from fledged.sealed import write_sealed
from fledged.settings.lake import ScanConfig
from fledged.workspace import DEFAULT, Workspace, now, product_id
from fledged.writing import write_table

_LOG = logging.getLogger(__name__)

# What tells one photo from another between two snapshots.
_COMPARED = ["path", "label", "sha256", "n_bytes", "error"]

_PART = 4096  # photos between two writes: what a crash can cost
_HASHED = 16_384  # rows that are text at once

House = tuple[Workspace, progress.Report, Engine]


def scan(
    lake: str | os.PathLike[str],
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    engine: Mapping[str, object] | None = None,
    **settings: object,
) -> Snapshot:
    """The lake as it is now. Files that have not changed since the last scan (size and time) are not read again.

    `engine` (fields of `config.EngineConfig`) says where photos are read, `settings` are the fields of
    `config.ScanConfig`. Raises LakeError if there is no photo in a class folder, ConfigError for too small a sample.
    """
    config = resolve(ScanConfig, settings)
    workspace = Workspace(work)
    root = places.resolved(lake)
    on = engine_of(engine).at(root, config.workers)
    report = report or progress.default()
    start_s = time.monotonic()
    listing = walk(root)
    if listing.photos.is_empty():
        raise LakeError(
            "There is no photo in a class folder",
            where=root,
            remedy="Give each class a folder with its photos, such as birds/eagle/1.jpg, and name the folder above.",
        )
    wanted = _wanted(listing.photos, config.sample)
    with workspace.lock():
        rows = _probe_all(root, wanted, config, (workspace, report, on))
        photos = with_provenance(rows, read_provenance(root))
        skipped = _skipped(listing)
        snapshot_id = _id(root, config, photos, listing.labels)
        n_beyond = listing.photos.height - wanted.height
        previous = newest(workspace, root, config.sample if n_beyond else 0)
        earlier = workspace.find(Snapshot, snapshot_id)
        if earlier is not None and previous is not None and previous.id == snapshot_id:
            if _is_current(earlier, photos, skipped):
                _LOG.info("Nothing has changed since the scan of %s", f"{earlier.created_at:%Y-%m-%d %H:%M} UTC")
                return earlier
            # The same content with other times, or among other files: what it came from stays.
            changes, previous_id = earlier.changes(), earlier.previous_id
        elif previous is not None:
            changes, previous_id = difference(previous.photos(_COMPARED), photos), previous.id
        else:
            changes, previous_id = no_changes(), None
        record = Snapshot(
            id=snapshot_id,
            version=Snapshot.format_version,
            created_at=now(),
            lake=root,
            n_photos=photos.height,
            n_unreadable=photos.height - photos["error"].null_count(),
            n_skipped=skipped.height,
            labels=dict.fromkeys(listing.labels, 0) | _readable_by_label(photos),
            n_beyond_sample=n_beyond,
            previous_id=previous_id,
            changes_by_kind=counted(changes),
        )
        _write(record, Tables(photos, skipped, changes), workspace, config, report)
        return workspace.save(record.model_copy(update={"seconds": time.monotonic() - start_s}))


def _wanted(photos: pl.DataFrame, sample: int) -> pl.DataFrame:
    """All photos, or the sample. Raises ConfigError where that has no room for all classes."""
    least = 2 * photos["label"].n_unique()  # one to train on, one to test on
    if 0 < sample < min(least, photos.height):
        raise ConfigError(
            f"A sample of {sample} is too small for {least // 2} classes",
            where="--sample",
            remedy=f"Take {least} photos at least; some hundreds say more.",
        )
    return sampled(photos, sample)


def _id(root: str, config: ScanConfig, photos: pl.DataFrame, labels: list[str]) -> str:
    """Made of what the lake holds and of the settings that take part in the product; history and times do not."""
    limits = (config.max_megapixels, config.max_megabytes, config.size_clusters, config.shape_clusters)
    return product_id(Snapshot, root, probing.VERSION, *limits, _content(photos), labels)


def _skipped(listing: Listing) -> pl.DataFrame:
    return pl.DataFrame(
        {"path": [s.path for s in listing.skipped], "reason": [s.reason for s in listing.skipped]},
        schema={"path": pl.String, "reason": pl.String},
    )


def _is_current(earlier: Snapshot, photos: pl.DataFrame, skipped: pl.DataFrame) -> bool:
    """Whether what is no part of the id is the same too."""
    times = ["path", "mtime_ns"]
    return earlier.photos(times).equals(photos.select(times)) and earlier.skipped().equals(skipped)


def _write(record: Snapshot, tables: Tables, workspace: Workspace, config: ScanConfig, report: progress.Report) -> None:
    """Every file of the snapshot but its record."""
    # Imported only where there is something new: a scan that finds nothing new waits for neither.
    from fledged.scanning.clusters import cluster, table
    from fledged.scanning.overview import write_overview

    folder = workspace.folder("snapshot", record.id)
    measured = tables.photos.select("n_bytes", "height_px", "width_px", "error").filter(pl.col("error").is_null())
    size = cluster(measured, "size", config.size_clusters)
    shape = cluster(measured, "shape", config.shape_clusters)
    write_table(folder / "photos.parquet", tables.photos)
    write_table(folder / "skipped.parquet", tables.skipped)
    write_table(folder / "changes.parquet", tables.changes)
    write_table(folder / "clusters.parquet", table(tables.photos, size, shape))
    write_overview(folder / "overview.html", record, tables, (size, shape), report)


def _probe_all(root: str, listed: pl.DataFrame, config: ScanConfig, house: House) -> pl.DataFrame:
    """A row a file: as remembered where path, size and time are the same, else probed now."""
    start_ns = time.time_ns()
    memory = memory_of(root, config, house[0])
    parts = memory.with_suffix("")  # of a scan that is under way, or was killed
    house[0].fetch(memory)
    known = [remembered([memory, *sorted(parts.glob("*.parquet"))])]
    new = listed.select(SAME).join(known[0], on=SAME, how="anti", maintain_order="left")
    max_pixels, max_bytes = limits(config)
    probe = functools.partial(probing.probe, max_pixels=max_pixels, max_bytes=max_bytes)
    left = new.height
    for rows in _probed(new, root, probe, house):
        known.append(rows)
        left -= rows.height
        if left:
            name = hashlib.sha256(repr(rows.select(SAME).rows()).encode()).hexdigest()[:16]
            write_sealed(parts / f"{name}.parquet", to_remember(rows, root, start_ns))
    if not new.is_empty():
        _refuse_if_closed(root, known[1:])
    photos = listed.join(pl.concat(known), on=SAME, how="left", maintain_order="left")
    known.clear()
    if not new.is_empty():
        write_sealed(memory, to_remember(photos.select(*SAME, *PROBE_TYPES), root, start_ns))
        house[0].share(memory)
        shutil.rmtree(parts, ignore_errors=True)
    return photos


def _refuse_if_closed(root: str, probed: list[pl.DataFrame]) -> None:
    """Where a bucket may be listed and nothing in it read, that is no matter of single photos. Raises LakeError."""
    if places.is_remote(root) and all(
        rows["error"].fill_null("").str.starts_with("cannot be read").all() for rows in probed
    ):
        raise LakeError(
            f"None of these photos can be read: {str(probed[0]['error'][0]).partition(': ')[2]}",
            where=root,
            remedy="The credentials need s3:GetObject as well as s3:ListBucket.",
        )


def _probed(
    new: pl.DataFrame, root: str, probe: Callable[[Spot], probing.Probe], house: House
) -> Iterator[pl.DataFrame]:
    """The rows of new files, some thousands at a time."""
    paths, sizes = new["path"], new["n_bytes"]
    files = Rows(
        new.height,
        lambda start, stop: spots([places.join(root, path) for path in paths[start:stop]], sizes[start:stop].to_list()),
    )
    probes = engine.map_photos(probe, files, _crashed, house[2], "Scanning photos", house[1])
    for start in range(0, new.height, _PART):
        rows = new.slice(start, _PART)
        some = [found for _, found in zip(range(rows.height), probes, strict=False)]
        yield rows.with_columns(
            **{
                field.name: pl.Series(field.name, [getattr(p, field.name) for p in some], PROBE_TYPES[field.name])
                for field in fields(probing.Probe)
            }
        )


def _crashed(file: Spot) -> probing.Probe:
    return probing.Probe(error="its decoder crashed")


def _content(photos: pl.DataFrame) -> str:
    """One hash over what the lake holds; times do not count, so a copied lake of the same content is the same."""
    told = photos.select("path", "label", "lake_split", "sha256", "error", *COLUMNS)
    digest = hashlib.sha256()
    # The text of a list of all rows, without ever having it whole.
    for start in range(0, max(told.height, 1), _HASHED):
        text = repr(told.slice(start, _HASHED).rows())[1:-1]
        digest.update(f"{', ' if start else '['}{text}".encode())
    digest.update(b"]")
    return digest.hexdigest()


def _readable_by_label(photos: pl.DataFrame) -> dict[str, int]:
    counts = photos.group_by("label").agg(pl.col("error").is_null().sum().alias("readable")).sort("label").rows()
    return {str(label): int(readable) for label, readable in counts}
