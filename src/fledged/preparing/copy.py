"""The dataset for other tools: an ImageFolder tree, a CSV manifest, or Parquet shards.

The tree holds the original bytes, as train|val|test/<class>/<name>-<sha256>.<format>, and a manifest.csv; never links,
since whoever edits one would change the lake. Scanned again with --keep-splits it gives the same splits and labels.
The manifest names the lake's own files, and the shards are the dataset's own shrunk copies, each with its group.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import secrets
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from fledged import places, progress
from fledged.errors import ConfigError, LakeError
from fledged.preparing.shards import copy_shard
from fledged.products import SPLITS, Dataset, Snapshot
from fledged.reading import read, spots
from fledged.workspace import DEFAULT, Workspace
from fledged.writing import disk_errors, make_folder, sync_folder, write_bytes

Format = Literal["imagefolder", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
COLUMNS = ("image_path", "label", "split", "group", "sha256")
MANIFEST = "manifest.csv"

_MAX_STEM = 80
_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}  # of other formats: their own name


@dataclass(frozen=True, slots=True)
class Copied:
    """What was written, and what was not: a reason and its photos."""

    to: Path
    format: Format
    n_photos: int
    left_out: dict[str, int] = field(default_factory=dict)
    n_with_place: int = 0  # original files among them that say where they were taken


def copy(
    dataset: Dataset | str | None,
    to: str | os.PathLike[str],
    *,
    format: Format = "imagefolder",
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
) -> Copied:
    """Write the photos of train, val and test for other tools into `to`, a folder (a file for csv) that is not there.

    It appears when it is whole. Photos that changed or vanished since the scan are left out and counted. Raises
    ConfigError if `to` exists or lies in the lake, LakeError if a label cannot be the name of a folder.
    """
    if format not in FORMATS:
        raise ConfigError(f"There is no format `{format}`", remedy=f"Known: {', '.join(FORMATS)}.")
    workspace = Workspace(work)
    with workspace.lock():
        if not isinstance(dataset, Dataset):
            dataset = workspace.load(Dataset, dataset)
        target = Path(to)
        _check_target(target, dataset.lake)
        used = dataset.members().filter(pl.col("split").is_not_null()).sort("split", "label", "path")
        if format == "csv":
            write_bytes(target, _manifest(used, [places.join(dataset.lake, path) for path in used["path"]]))
            return Copied(target, format, used.height)
        part = target.with_name(f".{target.name[:80]}.{secrets.token_hex(4)}.part")
        try:
            with disk_errors(target):
                make_folder(target.parent)
                part.mkdir()
                left_out: dict[str, int] = {}
                n_with_place = 0
                if format == "parquet":
                    _shards(dataset, dict(used.select("path", "group").rows()), part)
                else:
                    known = workspace.load(Snapshot, dataset.snapshot_id).photos(["path", "format", "has_gps"])
                    used = used.join(known, on="path", how="left", maintain_order="left")
                    written, left_out = _tree(used, dataset.lake, part, report or progress.default())
                    n_with_place = int(written["has_gps"].sum())
                os.sync()  # once for all files: what has its name is there whole
                part.rename(target)
                sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return Copied(target, format, used.height - sum(left_out.values()), left_out, n_with_place)


def _check_target(target: Path, lake: str) -> None:
    if target.exists() or target.is_symlink():
        raise ConfigError("There is something already", where=target, remedy="Name a place that is free.")
    if not places.is_remote(lake) and target.resolve().is_relative_to(Path(lake).resolve()):
        raise ConfigError("A copy must not lie in the lake itself", where=target, remedy="Name a place outside of it.")


def _tree(used: pl.DataFrame, lake: str, folder: Path, report: progress.Report) -> tuple[pl.DataFrame, dict[str, int]]:
    """Write the tree; gives the photos in it, and how many were left out, and why."""
    for label in used["label"].unique().sort():
        if not _is_folder_name(label):
            raise LakeError(
                f"The label `{label}` cannot be the name of a folder",
                where=folder.parent,
                remedy="Take --format csv or --format parquet, or relabel its photos.",
            )
    names, written, left_out = [], [], Counter[str]()
    taken: set[str] = set()
    report("Copying photos", 0, used.height)
    rows = used.select("path", "sha256", "label", "split", "format").rows()
    files = spots([places.join(lake, path) for path in used["path"]])
    for done, (file, (path, sha256, label, split, kind)) in enumerate(zip(files, rows, strict=True), start=1):
        try:
            data = read(file)
        except OSError:
            left_out["vanished since the scan"] += 1
            continue
        if hashlib.sha256(data).hexdigest() != sha256:
            left_out["changed since the scan"] += 1
            continue
        name = _name(f"{split}/{label}", path, sha256, kind, taken)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        names.append(name)
        written.append(done - 1)
        report("Copying photos", done, used.height)
    write_bytes(folder / MANIFEST, _manifest(used[written], names))
    return used[written], dict(left_out)


def _shards(dataset: Dataset, group_of: dict[str, str], folder: Path) -> None:
    (folder / "data").mkdir()
    for split in SPLITS:
        shards = dataset.shards(split)
        for number, shard in enumerate(shards):
            # The names by which Hugging Face `datasets` knows the splits of a folder.
            copy_shard(shard, folder / "data" / f"{split}-{number:05d}-of-{len(shards):05d}.parquet", group_of)
    write_bytes(folder / "README.md", _card(dataset).encode())


def _card(dataset: Dataset) -> str:
    """What Hugging Face `datasets` reads when it is given the folder."""
    files = "\n".join(
        f"  - split: {'validation' if split == 'val' else split}\n    path: data/{split}-*" for split in SPLITS
    )
    counts = ", ".join(f"{split} {dataset.n_in(split)}" for split in SPLITS)
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}\n---\n\n"
        f"Photos of {len(dataset.classes)} classes ({counts}), shrunk to a shorter side of at most "
        f"{dataset.shorter_side_px} px; fledged dataset {dataset.id}.\n"
    )


def _manifest(used: pl.DataFrame, image_paths: list[str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = used.select("label", "split", "group", "sha256").rows()
    writer.writerows((path, *row) for path, row in zip(image_paths, rows, strict=True))
    return text.getvalue().encode()


def _is_folder_name(label: str) -> bool:
    """Whether a label stays the same when it becomes a folder and is scanned again."""
    return bool(label) and not label.startswith(".") and "/" not in label and "\0" not in label


def _name(folder: str, path: str, sha256: str, kind: str, taken: set[str]) -> str:
    """A free name that any disk and tool takes: plain letters of the old one, the content's hash, the true format."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.rsplit("/", 1)[-1].rsplit(".", 1)[0]).strip("_-")[:_MAX_STEM]
    suffix = _SUFFIXES.get(kind, f".{kind.lower()}")
    digits = 12
    while (name := f"{folder}/{stem or 'photo'}-{sha256[:digits]}{suffix}").casefold() in taken and digits < 64:
        digits += 1
    turn = 2
    while name.casefold() in taken:  # the same photo twice, since a person wanted both
        name = f"{folder}/{stem or 'photo'}-{sha256[:12]}-{turn}{suffix}"
        turn += 1
    taken.add(name.casefold())
    return name
