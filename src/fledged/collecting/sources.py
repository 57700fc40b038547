"""What lies behind the SOURCE that a user names: a plan, an archive, a table, a list or a folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fledged import naming_extras
from fledged.collecting.archives import is_archive, open_archive
from fledged.collecting.feedback import open_feedback
from fledged.collecting.folders import open_folder
from fledged.collecting.members import Limits
from fledged.collecting.offers import Link, Offer, Offers, Photo, Refusal, Refused, clean_label
from fledged.collecting.plan import Engine, Plan, read_plan
from fledged.collecting.tables import open_csv, read_url_list
from fledged.errors import ConfigError, LakeError
from fledged.feedback import is_feedback
from fledged.settings.lake import CollectConfig

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".bz2", ".xz")
_LIST_SUFFIXES = (".txt", ".urls", ".lst")
# What data sets of Parquet files say about themselves.
_ABOUT_SUFFIXES = (".md", ".txt", ".json", ".jsonl", ".yaml", ".yml", ".csv", ".py")


@dataclass(frozen=True, slots=True)
class Search:
    """A query to put to a search engine for a class."""

    label: str
    engine: Engine
    query: str
    limit: int  # addresses at most


@dataclass(frozen=True, slots=True)
class Opened:
    """A source, ready to be read."""

    offers: Offers
    searches: list[Search] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)  # label -> photos at most; absent: all


def open_source(source: Path, label: str | None, config: CollectConfig) -> Opened:
    """What `source` offers. Raises ConfigError or LakeError if it is nothing that can be read."""
    own = _given(label)
    suffix = source.suffix.lower()
    max_bytes = _max_bytes(config)
    if is_feedback(source):
        return Opened(open_feedback(source, own, max_bytes))
    if source.is_dir():
        return Opened(_open_folder(source, own, config))
    if not source.exists():
        raise LakeError(
            "There is no such file or folder",
            where=source,
            remedy="Give a plan (.toml), an archive, a CSV table, a Parquet file or a folder.",
        )
    if suffix == ".toml":
        if own:
            raise ConfigError("A plan names its classes itself", where="--label", remedy="Leave --label out.")
        return _open_plan(source, config)
    if suffix in (".csv", ".tsv"):
        return Opened(open_csv(source, own, max_bytes))
    if suffix == ".parquet":
        return Opened(_open_parquet([source], own))
    if suffix in _LIST_SUFFIXES:
        if not own:
            raise ConfigError("A list of addresses has no class", where=source, remedy="Name it with --label CLASS.")
        links = read_url_list(source, own)
        return Opened(Offers(len(links), links))
    if is_archive(source):
        return Opened(open_archive(source, own, _limits(config)))
    if suffix in _ARCHIVE_SUFFIXES:
        raise LakeError(
            f"This is called {suffix} and is no archive that can be read: it is damaged, or only a part has arrived",
            where=source,
            remedy="Fetch or copy it again.",
        )
    raise LakeError(
        "This is none of the sources that can be read",
        where=source,
        remedy="Give a plan (.toml), a zip or tar, a CSV table, a Parquet file, a list (.txt) or a folder.",
    )


def _given(label: str | None) -> str:
    if label is None:
        return ""
    try:
        return clean_label(label)
    except Refusal as why:
        raise ConfigError(f"`{label}` cannot be a folder's name", where="--label", remedy="Take another.") from why


def _max_bytes(config: CollectConfig) -> int:
    return int(config.max_megabytes * 2**20)


def _limits(config: CollectConfig) -> Limits:
    return Limits(_max_bytes(config), int(config.max_unpacked_gigabytes * 2**30))


def _open_folder(folder: Path, label: str, config: CollectConfig) -> Offers:
    """A folder of classes; archives that lie right in it are of one class each, called like them.

    Where it holds Parquet tables of photos, it is a data set of these, and what lies beside them is named.
    """
    if found := sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith(".")):
        with naming_extras():
            from fledged.collecting.parquet import holding_photos
        tables, others = holding_photos(found)
        beside = list(_beside(folder, found, _max_bytes(config)))
        if tables:
            return _chained([Offers(len(others), others), _open_parquet(tables, label), Offers(len(beside), beside)])
        if not beside:
            return _open_parquet(found, label)  # which says what it lacks
    archives = [path for path in sorted(folder.glob("*")) if _has_archive_name(path) and is_archive(path)]
    opened = [open_archive(path, label or _given(_stem(path)), _limits(config)) for path in archives]
    photos = open_folder(folder, label, _max_bytes(config), besides={path.name for path in archives})
    return _chained([*opened, photos])


def _beside(folder: Path, tables: list[Path], max_bytes: int) -> Iterator[Refused]:
    """The files of a folder but its tables, and those that nobody would miss."""
    names = {path.relative_to(folder).as_posix() for path in tables}
    for offer in open_folder(folder, "any", max_bytes, besides=names).items:
        if isinstance(offer, Photo) and not offer.name.lower().endswith(_ABOUT_SUFFIXES):
            detail = "fill a folder with these files alone, and collect that"
            yield Refused(offer.name, None, "beside Parquet tables of photos", detail)


def _open_parquet(files: list[Path], label: str) -> Offers:
    with naming_extras():
        from fledged.collecting.parquet import open_parquet
    return open_parquet(files, label)


def _open_plan(path: Path, config: CollectConfig) -> Opened:
    plan = read_plan(path)
    offered = [part for label in plan.classes for part in _of_class(plan, label, path.parent, config)]
    limits = {label: plan.limit_of(label) for label in plan.classes if plan.limit_of(label)}
    searches = [search for label in plan.classes for search in _searches(plan, label)]
    return Opened(_chained(offered), searches, limits)


def _of_class(plan: Plan, label: str, folder: Path, config: CollectConfig) -> Iterator[Offers]:
    wanted = plan.classes[label]
    for name in wanted.archives:
        archive = folder / name
        if not archive.is_file():
            raise ConfigError(f"`classes.{label}.archives` names a file that is not there", where=archive)
        if not is_archive(archive):
            raise ConfigError(f"`classes.{label}.archives` names a file that is no zip or tar", where=archive)
        yield open_archive(archive, label, _limits(config))
    for entry in wanted.urls:
        if urlsplit(entry).scheme.lower() in ("http", "https"):
            yield Offers(1, [Link(entry, label, engine="plan")])
            continue
        listed = folder / entry
        if not listed.is_file():
            raise ConfigError(
                f"`classes.{label}.urls` names a file that is not there",
                where=listed,
                remedy="Name a text file or CSV table beside the plan, or an address with http:// or https://.",
            )
        if listed.suffix.lower() in (".csv", ".tsv"):
            yield open_csv(listed, label, _max_bytes(config))
        else:
            links = read_url_list(listed, label)
            yield Offers(len(links), links)


def _searches(plan: Plan, label: str) -> list[Search]:
    """Of each class; with a limit, twice as many addresses as photos are asked for, since many lead nowhere."""
    pairs = plan.searches_of(label)
    limit = plan.limit_of(label)
    each = max(20, -(-2 * limit // len(pairs))) if limit and pairs else 100
    return [Search(label, engine, query, min(each, 1000)) for engine, query in pairs]


def _chained(parts: list[Offers]) -> Offers:
    items: Iterator[Offer] = itertools.chain.from_iterable(part.items for part in parts)
    return Offers(sum(part.total for part in parts), items)


def _has_archive_name(path: Path) -> bool:
    return path.name.lower().endswith(_ARCHIVE_SUFFIXES) and path.is_file() and not path.name.startswith(".")


def _stem(path: Path) -> str:
    known = next(suffix for suffix in sorted(_ARCHIVE_SUFFIXES, key=len, reverse=True) if _ends(path, suffix))
    return path.name[: -len(known)]


def _ends(path: Path, suffix: str) -> bool:
    return path.name.lower().endswith(suffix)
