"""A row a photo: its label, its group, and either a split or the reason why it is left out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from fledged.errors import LakeError
from fledged.preparing.groups import group_photos
from fledged.preparing.reasons import CLAIMED, with_reasons
from fledged.preparing.split import Group, assign, place
from fledged.products import SPLITS, Split
from fledged.settings.lake import PrepareConfig

# The order in which a label's groups are handed out: what a rare class is judged on comes before what chooses its
# best epoch.
_ORDER: tuple[Split, ...] = ("test", "val", "train")
_MIN_GROUPS = 2
_MIN_GROUPS_OF_FOLDS = 3
_NAMED = 8  # classes in an error
APART = "alike photos are in another split"
# Of the snapshot's columns.
NEEDED = (
    *("path", "sha256", "label", "lake_split", "error"),
    *("camera", "taken_at", "source_url", "original_name", "user_group"),
)


def choose_members(
    photos: pl.DataFrame,
    findings: pl.DataFrame,
    decisions: pl.DataFrame,
    config: PrepareConfig,
    remembered: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """path, sha256, label, lake_split, group, group_reason, part, split, left_out of every photo of the snapshot.

    `remembered` is the part of photos, by sha256, that had one before; `part` is the split, or the number of the fold.
    Raises LakeError if fewer than two classes, or a class of too few groups, are left.
    """
    members = group_photos(_with_labels(photos, decisions), findings, config)
    if config.keep_splits:
        _check_folders(members)
    members = with_reasons(members, findings, config)
    members, settled = _settle(members, remembered or {}, config)
    used = members.filter(pl.col("left_out").is_null())
    _check_classes(used, members, config)
    members = members.with_columns(part=_parts(members, used, settled, config))
    members = members.with_columns(split=_splits(members, config))
    _check_train(members, config)
    return members.select("path", "sha256", "label", "lake_split", "group", "group_reason", "part", "split", "left_out")


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
        photos.select(NEEDED)
        .join(decided, on="path", how="left", maintain_order="left")
        .with_columns(label=pl.coalesce("new_label", "label"))
    )


def _settle(
    members: pl.DataFrame, remembered: Mapping[str, str], config: PrepareConfig
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The part of each group that has one already; photos are left out if their group is in another part than they.

    Groups of two parts become one when a photo comes that is like photos of both. Nobody moves then: the larger side
    stays (of equal ones test before val before train), and the smaller is left out.
    """
    part = pl.col("sha256").replace_strict(remembered, default=None, return_dtype=pl.String)
    known = members.with_columns(part=part).filter(pl.col("left_out").is_null() & pl.col("part").is_not_null())
    if config.keep_splits:
        known = known.filter(pl.col("lake_split") == "train")
    order = pl.col("part").replace_strict({name: i for i, name in enumerate(_ORDER)}, default=0, return_dtype=pl.Int8)
    sides = known.group_by("group", "part").len().sort("group", -pl.col("len").cast(pl.Int64), order, "part")
    settled: dict[str, str] = dict(sides.unique("group", keep="first").select("group", "part").rows())
    of_group = pl.col("group").replace_strict(settled, default=None, return_dtype=pl.String)
    apart = pl.col("path").is_in(known.filter(pl.col("part") != of_group)["path"].implode())
    return members.with_columns(left_out=pl.when(apart).then(pl.lit(APART)).otherwise("left_out")), settled


def _check_folders(members: pl.DataFrame) -> None:
    present = set(members.filter(pl.col("error").is_null())["lake_split"].drop_nulls())
    if "train" not in present or len(present) < 2:
        raise LakeError(
            "--keep-splits needs the folders train and val (or valid) or test right under the lake",
            where=f"found: {', '.join(sorted(present)) or 'none'}",
            remedy="Leave the flag out, and the photos are split by groups.",
        )


def too_few_classes(labels: Sequence[str], folders: Iterable[str]) -> LakeError:
    """What to say where photos have one label, or none; `folders` are all that there are."""
    return LakeError(
        f"A classifier needs two classes with usable photos; there is {f'only {labels[0]}' if labels else 'none'}",
        where=f"folders: {', '.join(sorted(folders))}",
        remedy="Add a folder with photos of what it is to be told from.",
    )


def _check_classes(used: pl.DataFrame, members: pl.DataFrame, config: PrepareConfig) -> None:
    labels = sorted(used["label"].unique())
    if len(labels) < 2:
        raise too_few_classes(labels, members["label"].unique())
    # A class of which people dropped everything is gone by their will, whatever else was wrong with its photos; one
    # that lost its photos otherwise is missed. One that is no more than a claim never was.
    given_up = pl.col("left_out").is_in(["dropped by a person", "dropped as advised", CLAIMED]) | pl.col("label").is_in(
        config.drop_classes
    )
    wanted = members.filter(pl.col("left_out").is_null() | given_up.not_())["label"].unique()
    counts = used.group_by("label").agg(photos=pl.len(), groups=pl.col("group").n_unique())
    counts = pl.DataFrame({"label": wanted}).join(counts, on="label", how="left").fill_null(0).sort("label")
    least, parts = (_MIN_GROUPS_OF_FOLDS, "folds") if config.fold else (_MIN_GROUPS, "train and test")
    rare = counts.filter(pl.col("groups") < least)
    if not rare.is_empty():
        of_rare = used.filter(pl.col("label").is_in(rare["label"].implode()))
        tied = ", ".join(sorted(of_rare["group_reason"].drop_nulls().unique())[:3])
        each = [f"`{label}` has {_few(n_photos, n_groups)}" for label, n_photos, n_groups in rare.head(_NAMED).rows()]
        n_more = max(0, rare.height - _NAMED)
        more = f" and {n_more} more class{' has' if n_more == 1 else 'es have'} too few" if n_more else ""
        raise LakeError(
            f"Class {', '.join(each)}{more}{f' ({tied})' if tied else ''}; {parts} need a group of photos that belong "
            f"together each, so {least} at least",
            remedy=f"Add photos of {_it(rare.height)}, or leave {_it(rare.height)} out with: "
            + _dropping(rare["label"])
            + (". Names tie as --group-by says, bursts as prepare.burst_s does." if tied else ""),
        )


def _few(n_photos: int, n_groups: int) -> str:
    photos = f"{n_photos} usable photo{'' if n_photos == 1 else 's'}"
    return photos if n_groups == n_photos else f"{photos} in {n_groups} group{'' if n_groups == 1 else 's'}"


def _it(n: int) -> str:
    return "it" if n == 1 else "them"


def _dropping(labels: Iterable[str]) -> str:
    """The flags that leave these classes out."""
    return " ".join(f"--drop-classes {shlex.quote(label)}" for label in labels)


def _check_train(members: pl.DataFrame, config: PrepareConfig) -> None:
    """The lake's own folders may know a class in val or test that train does not; so may groups of several classes."""
    used = members.filter(pl.col("split").is_not_null())
    unknown = sorted(set(used["label"]) - set(used.filter(pl.col("split") == "train")["label"]))
    if unknown:
        it, other_way = _it(len(unknown)), "leave out --keep-splits" if config.keep_splits else "take another --seed"
        named = ", ".join(f"`{label}`" for label in unknown[:_NAMED])
        more = f" (and {len(unknown) - _NAMED} more)" if len(unknown) > _NAMED else ""
        raise LakeError(
            f"There is no photo to train on of class {named}{more}",
            where="the lake's own train folder" if config.keep_splits else "train",
            remedy=f"Add photos of {it}, leave {it} out with {_dropping(unknown)}, or {other_way}.",
        )


def _parts(members: pl.DataFrame, used: pl.DataFrame, settled: dict[str, str], config: PrepareConfig) -> pl.Expr:
    """What is remembered: the split or fold of each group; of the lake's own splits, only how its train is divided."""
    scope = pl.col("left_out").is_null()
    if config.keep_splits:
        by_group = _divided_train(used, settled, config)
        scope &= pl.col("lake_split") == "train"
    elif config.fold:
        by_group = folds_of(_groups(used), int(config.fold.partition("/")[2]), settled, config.seed)
    else:
        shares = dict(zip(SPLITS, config.split, strict=True))
        by_group = assign(_groups(used), {split: shares[split] for split in _ORDER}, config.seed, settled)
    return pl.when(scope).then(pl.col("group").replace_strict(by_group, default=None, return_dtype=pl.String))


def folds_of(groups: list[Group], n_folds: int, settled: dict[str, str], seed: int) -> dict[str, str]:
    """The number of each group's fold. Each label begins with another, so rare classes are not all in the first."""
    numbers = [f"{number}" for number in range(1, n_folds + 1)]
    by_label: dict[str, list[Group]] = {}
    for group in groups:
        by_label.setdefault(group.label, []).append(group)
    by_group: dict[str, str] = {}
    for label, of_label in by_label.items():
        start = int(place(seed, f"label {label}") * n_folds)
        shares = dict.fromkeys(numbers[start:] + numbers[:start], 1 / n_folds)
        by_group |= assign(of_label, shares, seed, settled)
    return by_group


def _divided_train(used: pl.DataFrame, settled: dict[str, str], config: PrepareConfig) -> dict[str, str]:
    """Where the lake has no val or no test folder: train or val for each group of its train folder."""
    if set(used["lake_split"]) == set(SPLITS):
        return {}
    share = config.split[1] / (config.split[0] + config.split[1])
    groups = _groups(used.filter(pl.col("lake_split") == "train"))
    return assign(groups, {"val": share, "train": 1 - share}, config.seed, settled)


def _splits(members: pl.DataFrame, config: PrepareConfig) -> pl.Expr:
    """The split of each part. Of folds, number I is test, the one after it val, and the others are train."""
    part, used = pl.col("part"), pl.col("left_out").is_null()
    if config.keep_splits:
        # Without a test folder val becomes test.
        there = members.filter(used)["lake_split"].drop_nulls().unique()
        name = pl.col("lake_split") if "test" in there else pl.col("lake_split").replace("val", "test")
        return pl.when(used).then(pl.coalesce(part, name))
    if not config.fold:
        return part
    number, _, n_folds = config.fold.partition("/")
    after = f"{int(number) % int(n_folds) + 1}"
    fold = pl.when(part == number).then(pl.lit("test")).when(part == after).then(pl.lit("val"))
    return pl.when(used).then(fold.otherwise(pl.lit("train")))


def _groups(used: pl.DataFrame) -> list[Group]:
    """The groups in use. One of several labels counts under the rarest of them, which needs it most."""
    counts = dict(used.group_by("label").agg(pl.col("group").n_unique()).rows())
    return [
        Group(str(key), min(labels, key=lambda label: (counts[label], label)), n_photos)
        for key, labels, n_photos in used.group_by("group", maintain_order=True)
        .agg(pl.col("label").unique(), n_photos=pl.len())
        .rows()
    ]
