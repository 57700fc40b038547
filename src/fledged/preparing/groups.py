"""Which photos belong together, and why: no group is ever on two sides of a split.

Photos are tied by being the same picture (what the review found), by a pattern of their names, by being shots of one
burst, by the address that they came from, and by what people say. Ties join: whoever is tied to a photo of a group is
in the group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urldefrag

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fledged.errors import ConfigError
from fledged.settings.lake import PrepareConfig

Tie = tuple[int, int]  # two photos, by position
Ties = npt.NDArray[np.int64]  # (N, 2)

AUTO = "auto"
REASON_SEPARATOR = "; "
# What `group_by` is by default, tried in this order on the name without its extension. Each needs something that plain
# numbered photos (img_001.jpg, DSC00012.JPG, "bike frame 3.png") do not have.
KNOWN_NAMES = (
    ("frames of a video", re.compile(r"^(.+?[._-](?:mp4|mov|avi|mkv|webm|m4v))[ ._-]+(?:frame[ ._-]*)?\d+", re.I)),
    ("variants of a photo", re.compile(r"^(.+)\.rf\.[0-9a-z]{16,}$", re.I)),
)
# A chain of shots that goes on for longer is a time lapse or a session, and is cut: else it could hold a whole class.
MAX_BURST_S = 60.0
_SAME_PICTURE = {
    "exact_duplicate": "exact duplicate",
    "near_duplicate": "near duplicate",
    "label_conflict": "same picture, two labels",
}
_HINT = re.compile(r"^(.*(?<![a-z])(?:clip|vid|video|movie|mov|cam|scene|seq|frame)(?![a-z]).*?)[ ._-]*\d{2,}$", re.I)
_NO_TIES = np.empty((0, 2), np.int64)
_HINT_LEAST = 10  # numbered photos of one name, before it looks like a video


def group_photos(photos: pl.DataFrame, findings: pl.DataFrame, config: PrepareConfig) -> pl.DataFrame:
    """The photos with `group`, a key made of content, and `group_reason`: what ties each to others, null if nothing.

    The key is the smallest sha256 in the group, so that names and order do not matter.
    """
    ties = list(_ties(photos, findings, config))
    numbers = groups_of(photos.height, np.concatenate([_NO_TIES, *(pairs for _, pairs in ties)]))
    # A file that could not be read has no hash, and no part in any split.
    key = pl.coalesce("sha256", "path").min().over(pl.Series("number", numbers)).str.slice(0, 16)
    return photos.with_columns(group=key, group_reason=_reasons(photos.height, ties))


def _reasons(n_photos: int, ties: Sequence[tuple[str, Ties]]) -> pl.Series:
    """All that ties each photo to others, in one text; null where nothing does."""
    tied = pl.concat(
        [
            pl.DataFrame(schema={"row": pl.Int64, "reason": pl.String}),
            *(pl.DataFrame({"row": np.unique(pairs)}).with_columns(reason=pl.lit(reason)) for reason, pairs in ties),
        ]
    )
    words = tied.group_by("row").agg(reason=pl.col("reason").unique().sort().str.join(REASON_SEPARATOR))
    rows = pl.DataFrame({"row": np.arange(n_photos, dtype=np.int64)})
    return rows.join(words, on="row", how="left", maintain_order="left")["reason"]


def groups_of(n_photos: int, ties: Ties | Sequence[Tie]) -> npt.NDArray[np.int64]:
    """The group number of each photo, where `ties` are pairs of photos (by position) that belong together."""
    pairs = np.array(ties, dtype=np.int64).reshape(-1, 2)
    adjacency = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n_photos, n_photos))
    numbers: npt.NDArray[np.int64] = connected_components(adjacency, directed=False)[1].astype(np.int64)
    return numbers


def ties_by_key(keys: Sequence[str | None] | pl.Series) -> Ties:
    """Ties between each photo and the first one with the same key; None ties nothing."""
    rows = pl.DataFrame({"key": pl.Series(keys, dtype=pl.String)}).with_row_index("row")
    first = pl.col("row").first().over("key")
    tied = (
        rows.filter(pl.col("key").is_not_null())
        .select(first.alias("first"), "row")
        .filter(pl.col("first") != pl.col("row"))
    )
    return tied.to_numpy().astype(np.int64)


def bursts(cameras: Iterable[str | None], times: Iterable[str | None], apart_s: float) -> list[Tie]:
    """Ties between shots of one camera at most `apart_s` after each other, in chains of at most MAX_BURST_S.

    Photos without a camera, without a time, or with the time of a clock that was never set are tied to nothing.
    """
    shots = sorted(
        (camera, time.replace(tzinfo=UTC).timestamp(), index)
        for index, (camera, text) in enumerate(zip(cameras, times, strict=True))
        if camera and (time := _time(text)) is not None
    )
    ties: list[Tie] = []
    start_s = 0.0
    for before, after in zip([None, *shots], shots, strict=False):
        same = before is not None and before[0] == after[0] and after[1] - before[1] <= apart_s
        if before is not None and same and after[1] - start_s <= MAX_BURST_S:
            ties.append((before[2], after[2]))
        else:
            start_s = after[1]
    return ties


def hint(paths: Sequence[str] | pl.Series) -> str | None:
    """A name whose number seems to count frames of a video, though the known patterns do not know it; or None."""
    names = map(_stem, paths)
    found = Counter(match.group(1) for name in names if not _known(name) and (match := _HINT.search(name)))
    often = [name for name, n in sorted(found.items()) if n >= _HINT_LEAST]
    return next((path for path in paths if often and _stem(path).startswith(often[0])), None)


def _ties(photos: pl.DataFrame, findings: pl.DataFrame, config: PrepareConfig) -> Iterator[tuple[str, Ties]]:
    # What `collect` gathered is named by its content; the name that it had says more.
    names = photos.select(pl.when(pl.col("original_name") != "").then("original_name").otherwise("path")).to_series()
    yield from _alike(photos["path"], findings)
    yield "exact duplicate", ties_by_key(photos["sha256"])
    if config.group_by == AUTO:
        known = [_known(_stem(name)) for name in names]
        for reason in sorted({match[0] for match in known if match}):
            yield reason, ties_by_key([match[1] if match and match[0] == reason else None for match in known])
    elif config.group_by:
        yield "file name", ties_by_key(_name_keys(names, config.group_by))
    if config.burst_s:
        yield "burst", np.array(bursts(photos["camera"], photos["taken_at"], config.burst_s), np.int64).reshape(-1, 2)
    yield "source address", ties_by_key([_address(url) for url in photos["source_url"]])
    yield "user's group", ties_by_key(photos["user_group"])


def _alike(paths: pl.Series, findings: pl.DataFrame) -> Iterator[tuple[str, Ties]]:
    """Photos of one picture, as the review found them."""
    rows = pl.DataFrame({"path": paths}).with_row_index("row")
    for kind, reason in _SAME_PICTURE.items():
        pairs = (
            findings.filter(pl.col("kind") == kind)
            .join(rows, on="path", how="inner")
            .join(rows, left_on="related_path", right_on="path", how="inner", suffix="_related")
        )
        yield reason, pairs.select("row", "row_related").to_numpy().astype(np.int64)


def _known(stem: str) -> tuple[str, str] | None:
    """What a name says without being asked: the kind of group, and which."""
    return next(((reason, match.group(1)) for reason, name in KNOWN_NAMES if (match := name.search(stem))), None)


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _name_keys(names: pl.Series, group_by: str) -> list[str | None]:
    """What `group_by` matches in each file name: its first group if it has one, else the whole match."""
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise ConfigError(
            f"`--group-by {group_by}` is no regular expression: {error}",
            remedy=r"Write, for example, '^(.+)\.rf\.' for names such as hawk.rf.1.jpg.",
        ) from error
    matches = [pattern.search(name.rsplit("/", 1)[-1]) for name in names]
    if not any(matches):
        raise ConfigError(
            f"`--group-by {group_by}` matches no file name",
            where=names[0] if len(names) else None,
            remedy="It is searched in the name without its folders; take a part that photos of one group share.",
        )
    return [None if match is None else (match.group(1) if pattern.groups else match.group(0)) for match in matches]


def _time(text: str | None) -> datetime | None:
    """A camera's time of the shot; None for the first second of a year, where clocks begin that nobody set."""
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return None if time is None or (time.month, time.day, time.hour, time.minute) == (1, 1, 0, 0) else time


def _address(url: str | None) -> str | None:
    """An address of the web without its fragment; a file or an archive is the source of too many to mean anything."""
    return urldefrag(url).url if url and url.lower().startswith(("http://", "https://")) else None
