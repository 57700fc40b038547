"""A row a photo: its label, its group, and either a split or the reason why it is left out."""

from __future__ import annotations

import re
from collections import Counter

import polars as pl

from fledged.config import PrepareConfig
from fledged.errors import ConfigError, LakeError
from fledged.preparing.split import Group, assign, groups_of, ties_by_key
from fledged.products import SPLITS

_MIN_GROUPS = len(SPLITS)


def choose_members(
    photos: pl.DataFrame, findings: pl.DataFrame, decisions: pl.DataFrame, config: PrepareConfig
) -> pl.DataFrame:
    """path, sha256, label, lake_split, group, left_out, split of every photo of the snapshot.

    Raises LakeError if fewer than two classes, or a class of fewer than three groups, are left.
    """
    members = _with_labels(photos, decisions)
    members = members.with_columns(left_out=_reasons(members, findings, config))
    members = members.with_columns(group=pl.Series(_group_keys(members, findings, config.group_by), dtype=pl.String))
    used = members.filter(pl.col("left_out").is_null())
    _check_classes(used, members)
    members = members.with_columns(split=_splits(members, used, config))
    _check_train(members)
    return members.select("path", "sha256", "label", "lake_split", "group", "split", "left_out")


def leaking_groups(members: pl.DataFrame) -> list[str]:
    """Groups that the lake's own folders put into more than one of train, val and test."""
    used = members.filter(pl.col("left_out").is_null() & pl.col("lake_split").is_not_null())
    leaking: list[str] = (
        used.group_by("group").agg(pl.col("lake_split").n_unique()).filter(pl.col("lake_split") > 1)["group"].to_list()
    )
    return sorted(leaking)


def _with_labels(photos: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    decided = decisions.rename({"label": "new_label"})
    return (
        photos.select("path", "sha256", "label", "lake_split", "error")
        .join(decided, on="path", how="left", maintain_order="left")
        .with_columns(label=pl.coalesce("new_label", "label"))
    )


def _reasons(members: pl.DataFrame, findings: pl.DataFrame, config: PrepareConfig) -> pl.Expr:
    """Why a photo is left out; null if it is not. A person's decision comes before every rule."""
    dropped_copies = findings.filter(pl.col("kind") == "exact_duplicate")["path"]
    conflict_pairs = findings.filter((pl.col("kind") == "label_conflict") & (pl.col("score") == 1.0))
    conflicting = members.filter(
        pl.col("path").is_in(conflict_pairs["path"].implode())
        | pl.col("path").is_in(conflict_pairs["related_path"].implode())
    )["sha256"]
    # One decided photo settles its conflict: only then are the copies' labels known to be wrong or right.
    settled = members.filter(pl.col("action").is_in(["keep", "relabel"]))["sha256"]
    undecided = pl.col("action").is_null()
    return (
        pl.when(pl.col("error").is_not_null())
        .then(pl.format("unreadable: {}", "error"))
        .when(pl.col("action") == "drop")
        .then(pl.lit("dropped by a person"))
        .when(pl.col("label").is_in(config.drop_classes))
        .then(pl.lit("class dropped"))
        .when(undecided & pl.col("path").is_in(dropped_copies.implode()))
        .then(pl.lit("exact duplicate"))
        .when(
            undecided & pl.col("sha256").is_in(conflicting.implode()) & pl.col("sha256").is_in(settled.implode()).not_()
        )
        .then(pl.lit("same photo under two labels"))
        .when(undecided & pl.col("sha256").is_in(conflicting.implode()))
        .then(pl.lit("exact duplicate"))
        .otherwise(None)
    )


def _group_keys(members: pl.DataFrame, findings: pl.DataFrame, group_by: str) -> list[str]:
    """A key for each photo's group: the smallest sha256 in it, so that names and order do not matter."""
    position = {path: index for index, path in enumerate(members["path"])}
    alike = findings.filter(pl.col("kind").is_in(["near_duplicate", "exact_duplicate", "label_conflict"])).select(
        "path", "related_path"
    )
    ties = [(position[path], position[related]) for path, related in alike.rows()]
    ties += ties_by_key(members["sha256"].to_list())
    if group_by:
        ties += ties_by_key(_name_keys(members["path"].to_list(), group_by))
    numbers = groups_of(members.height, ties)
    keys: dict[int, str] = {}
    for number, sha256, path in zip(numbers, members["sha256"], members["path"], strict=True):
        key = sha256 or path  # a file that could not be read has no hash, and no part in any split
        keys[number] = min(keys.get(number, key), key)
    return [keys[number][:16] for number in numbers]


def _name_keys(paths: list[str], group_by: str) -> list[str | None]:
    """What `group_by` matches in each file name: its first group if it has one, else the whole match."""
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise ConfigError(
            f"`--group-by {group_by}` is no regular expression: {error}",
            remedy=r"Write, for example, '^(.+)\.rf\.' for names such as hawk.rf.1.jpg.",
        ) from error
    matches = [pattern.search(path.rsplit("/", 1)[-1]) for path in paths]
    if not any(matches):
        raise ConfigError(
            f"`--group-by {group_by}` matches no file name",
            where=paths[0] if paths else None,
            remedy="It is searched in the name without its folders; take a part that photos of one group share.",
        )
    return [None if match is None else (match.group(1) if pattern.groups else match.group(0)) for match in matches]


def _check_classes(used: pl.DataFrame, members: pl.DataFrame) -> None:
    labels = sorted(used["label"].unique())
    if len(labels) < 2:
        every = ", ".join(sorted(members["label"].unique()))
        raise LakeError(
            f"A classifier needs two classes with usable photos; there is {labels[0] if labels else 'none'}",
            where=f"folders: {every}",
            remedy="Add a folder with photos of what it is to be told from.",
        )
    # A class of which people dropped everything is gone by their will; one that lost its photos otherwise is missed.
    given_up = pl.col("left_out").is_in(["class dropped", "dropped by a person"])
    wanted = members.filter(pl.col("left_out").is_null() | given_up.not_())["label"].unique()
    counts = used.group_by("label").agg(photos=pl.len(), groups=pl.col("group").n_unique())
    counts = pl.DataFrame({"label": wanted}).join(counts, on="label", how="left").fill_null(0).sort("label")
    for label, n_photos, n_groups in counts.rows():
        if n_groups < _MIN_GROUPS:
            raise LakeError(
                f"Class `{label}` has {n_photos} usable photos in {n_groups} groups of duplicates; train, val and test "
                f"need a group each, so {_MIN_GROUPS} at least",
                remedy=f"Add photos of it, or leave it out with: --drop-classes '{label}'",
            )


def _check_train(members: pl.DataFrame) -> None:
    """The lake's own folders may know a class in val or test that train does not."""
    used = members.filter(pl.col("split").is_not_null())
    unknown = set(used["label"]) - set(used.filter(pl.col("split") == "train")["label"])
    if unknown:
        raise LakeError(
            f"Class `{min(unknown)}` has no photo to train on",
            where="the lake's own train folder",
            remedy=f"Add photos of it, leave it out with --drop-classes '{min(unknown)}', or leave out --keep-splits.",
        )


def _splits(members: pl.DataFrame, used: pl.DataFrame, config: PrepareConfig) -> pl.Series:
    if config.keep_splits:
        return _lake_splits(members, used, config)
    shares = dict(zip(SPLITS, config.split, strict=True))
    by_group = assign(_groups(used), shares, config.seed)
    return pl.Series(
        [
            by_group[group] if left_out is None else None
            for group, left_out in members.select("group", "left_out").iter_rows()
        ],
        dtype=pl.String,
    )


def _lake_splits(members: pl.DataFrame, used: pl.DataFrame, config: PrepareConfig) -> pl.Series:
    """The lake's own folders. Without a test folder val becomes test, and train is divided into train and val."""
    present = set(used["lake_split"].drop_nulls())
    if "train" not in present or len(present) < 2:
        raise LakeError(
            "--keep-splits needs the folders train and val (or valid) or test right under the lake",
            where=f"found: {', '.join(sorted(present)) or 'none'}",
            remedy="Leave the flag out, and the photos are split by groups.",
        )
    names = {"train": "train", "val": "val", "test": "test"}
    carved: dict[str, str] = {}
    if "test" not in present:
        names["val"] = "test"
    if present != {"train", "val", "test"}:
        share = config.split[1] / (config.split[0] + config.split[1])
        groups = _groups(used.filter(pl.col("lake_split") == "train"))
        carved = dict(assign(groups, {"train": 1 - share, "val": share}, config.seed))
    return pl.Series(
        [
            None if left_out is not None else carved.get(group, "train") if lake_split == "train" else names[lake_split]
            for group, lake_split, left_out in members.select("group", "lake_split", "left_out").iter_rows()
        ],
        dtype=pl.String,
    )


def _groups(used: pl.DataFrame) -> list[Group]:
    groups = []
    for (key,), part in used.group_by("group", maintain_order=True):
        label = min(Counter(part["label"]).items(), key=lambda item: (-item[1], item[0]))[0]
        groups.append(Group(str(key), label, part.height))
    return groups
