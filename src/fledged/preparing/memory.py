"""What was decided once: `splits/<scheme>.csv` in the working folder, a line a photo that was ever put into a split.

    sha256,part
    0a1f…,train

So a photo never moves when others are added or removed. A scheme is a seed, shares or folds, and rules of grouping:
with other ones photos are split anew. The file may be deleted (to split anew), copied to another machine and kept in
git; lines are sorted by sha256, so two grown versions of it merge.
"""

from __future__ import annotations

import hashlib
import io

import polars as pl

from fledged.errors import ProductError
from fledged.preparing.groups import AUTO
from fledged.products import SPLITS
from fledged.settings.lake import PrepareConfig
from fledged.workspace import Workspace
from fledged.writing import bytes_of_file, write_bytes


def scheme(config: PrepareConfig) -> str:
    """The name of what a memory is for."""
    shares = "-".join(f"{share:g}" for share in config.split)
    parts = f"{config.fold.partition('/')[2]}-folds" if config.fold else shares
    kept = "_lake-splits" if config.keep_splits else ""
    rules = [config.group_by, config.burst_s]
    usual = [AUTO, PrepareConfig.model_fields["burst_s"].default]
    other = "" if rules == usual else f"_groups-{hashlib.sha256(repr(rules).encode()).hexdigest()[:8]}"
    return f"seed{config.seed}_{parts}{kept}{other}"


def recall(workspace: Workspace, config: PrepareConfig) -> dict[str, str]:
    """The part of each photo (sha256) that was in one before. Raises ProductError if the file makes no sense."""
    path = workspace.splits(scheme(config))
    try:
        data = bytes_of_file(path)
    except FileNotFoundError:
        return {}
    known = {f"{number}" for number in range(1, int(config.fold.partition("/")[2] or 0) + 1)} or set(SPLITS)
    try:
        table = pl.read_csv(io.BytesIO(data), schema={"sha256": pl.String, "part": pl.String})
        # A merge of two files can leave a photo in two parts: one of them counts, the same on every machine.
        remembered = dict(table.sort("sha256", "part", descending=True).rows())
    except pl.exceptions.PolarsError:
        remembered = {"": "no table"}
    wrong = {str(part) for part in remembered.values()} - known
    if wrong:
        raise ProductError(
            f"This is no memory of splits: `{min(wrong)}` is none of {', '.join(sorted(known))}",
            where=path,
            remedy="Restore it from a copy, or delete it to split all photos anew.",
        )
    return remembered


def remember(workspace: Workspace, config: PrepareConfig, before: dict[str, str], members: pl.DataFrame) -> None:
    """Add the photos that are in a part for the first time."""
    of_now = dict(members.filter(pl.col("part").is_not_null()).select("sha256", "part").rows())
    if of_now.keys() <= before.keys():
        return
    lines = [f"{sha256},{part}\n" for sha256, part in sorted((of_now | before).items())]
    write_bytes(workspace.splits(scheme(config)), ("sha256,part\n" + "".join(lines)).encode())
