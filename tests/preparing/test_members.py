"""Who is in, who is out and why, and what belongs together."""

from __future__ import annotations

import polars as pl
import pytest

from fledged.config import PrepareConfig
from fledged.errors import ConfigError, LakeError
from fledged.preparing.members import choose_members, leaking_groups
from fledged.reviewing.review import FINDING_TYPES

NO_DECISIONS = pl.DataFrame(schema={"path": pl.String, "action": pl.String, "label": pl.String})


NOTHING_KNOWN = dict.fromkeys(("camera", "taken_at", "source_url", "user_group"), pl.lit(None, pl.String))


def lake(n: int = 10, labels: str = "ab", lake_split: str | None = None) -> pl.DataFrame:
    rows = [(f"{label}/{i:02d}.jpg", f"{label}{i:02d}", label, lake_split, None) for label in labels for i in range(n)]
    columns = dict.fromkeys(("path", "sha256", "label", "lake_split", "error"), pl.String)
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(**NOTHING_KNOWN)


def findings(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(kind, path, related, None, 1.0, None, "look") for kind, path, related in rows],
        schema=FINDING_TYPES,
        orient="row",
    )


def decisions(*rows: tuple[str, str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=NO_DECISIONS.schema, orient="row")


def reasons(members: pl.DataFrame) -> dict[str, str]:
    return dict(members.filter(pl.col("left_out").is_not_null()).select("path", "left_out").rows())


def choose(
    photos: pl.DataFrame, found: pl.DataFrame | None = None, decided: pl.DataFrame = NO_DECISIONS, **settings: object
) -> pl.DataFrame:
    return choose_members(
        photos, findings() if found is None else found, decided, PrepareConfig.model_validate(settings)
    )


def with_(photos: pl.DataFrame, path: str, **values: str | None) -> pl.DataFrame:
    return photos.with_columns(
        **{name: pl.when(pl.col("path") == path).then(pl.lit(value)).otherwise(name) for name, value in values.items()}
    )


def test_unreadable_photos_are_left_out_with_their_reason() -> None:
    photos = with_(lake(), "a/00.jpg", error="truncated", sha256=None)
    assert reasons(choose(photos)) == {"a/00.jpg": "unreadable: truncated"}


def test_of_equal_photos_one_stays() -> None:
    photos = with_(lake(), "a/01.jpg", sha256="a00")
    found = findings(("exact_duplicate", "a/01.jpg", "a/00.jpg"))
    assert reasons(choose(photos, found)) == {"a/01.jpg": "exact duplicate"}


def test_a_photo_under_two_labels_is_left_out_until_a_person_decides() -> None:
    photos = with_(lake(), "b/00.jpg", sha256="a00")
    found = findings(("label_conflict", "b/00.jpg", "a/00.jpg"))
    both = {"a/00.jpg": "same photo under two labels", "b/00.jpg": "same photo under two labels"}
    assert reasons(choose(photos, found)) == both
    kept = choose(photos, found, decisions(("a/00.jpg", "keep", None)))
    assert reasons(kept) == {"b/00.jpg": "exact duplicate"}
    dropped = choose(photos, found, decisions(("a/00.jpg", "drop", None), ("b/00.jpg", "keep", None)))
    assert reasons(dropped) == {"a/00.jpg": "dropped by a person"}


def test_a_relabelled_photo_moves_to_its_new_class() -> None:
    members = choose(lake(), None, decisions(("a/00.jpg", "relabel", "b")))
    assert members.filter(pl.col("path") == "a/00.jpg")["label"].to_list() == ["b"]


def test_near_duplicates_share_a_group_and_a_split() -> None:
    found = findings(*(("near_duplicate", f"a/{i:02d}.jpg", "a/00.jpg") for i in range(1, 5)))
    members = choose(lake(), found)
    group = members.filter(pl.col("path").is_in([f"a/{i:02d}.jpg" for i in range(5)]))
    assert group["group"].n_unique() == 1
    assert group["split"].n_unique() == 1


def test_file_names_can_name_the_group() -> None:
    photos = lake().with_columns(path=pl.col("path").str.replace(r"/0(\d)\.jpg", "/x${1}.rf.1.jpg"))
    photos = photos.with_columns(path=pl.col("path").str.replace("x[0-4]", "x0"))
    members = choose(photos, None, group_by=r"^(.+)\.rf\.")
    assert members["group"].n_unique() == 6  # x0 of both classes is one group, x5 to x9 are five


@pytest.mark.parametrize(("pattern", "words"), [("(", "no regular expression"), ("zzz", "matches no file name")])
def test_a_pattern_that_cannot_work_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose(lake(), None, group_by=pattern)


def test_one_class_is_a_clear_error() -> None:
    with pytest.raises(LakeError, match="two classes"):
        choose(lake(labels="a"))


def test_a_class_of_one_group_is_a_clear_error_with_a_way_out() -> None:
    photos = pl.concat([lake(), lake(n=2, labels="c")])
    alike = findings(("near_duplicate", "c/00.jpg", "c/01.jpg"))
    with pytest.raises(LakeError, match=r"`c` has 2 usable photos in 1 groups.*\(near duplicate\).*--drop-classes 'c'"):
        choose(photos, alike)
    assert reasons(choose(photos, alike, drop_classes=("c",))) == {
        "c/00.jpg": "class dropped",
        "c/01.jpg": "class dropped",
    }


@pytest.mark.parametrize(
    ("n", "expected"),
    [(2, {"train": 1, "test": 1}), (3, {"train": 1, "val": 1, "test": 1}), (5, {"train": 3, "val": 1, "test": 1})],
)
def test_rare_classes_follow_the_stated_rule(n: int, expected: dict[str, int]) -> None:
    members = choose(pl.concat([lake(), lake(n=n, labels="c")]))
    assert dict(members.filter(pl.col("label") == "c").group_by("split").len().rows()) == expected


def test_a_class_that_cannot_be_read_is_missed_and_one_that_was_dropped_is_not() -> None:
    photos = pl.concat([lake(), lake(n=4, labels="c")])
    broken = photos.with_columns(error=pl.when(pl.col("label") == "c").then(pl.lit("truncated")))
    with pytest.raises(LakeError, match="Class `c` has 0 usable photos"):
        choose(broken)
    dropped = decisions(*((f"c/{i:02d}.jpg", "drop", None) for i in range(4)))
    assert set(choose(photos, None, dropped).filter(pl.col("split").is_not_null())["label"]) == {"a", "b"}


def test_a_class_that_the_lakes_train_folder_does_not_know_is_a_clear_error() -> None:
    train = lake(labels="ab", lake_split="train")
    test = lake(labels="abc", lake_split="test").with_columns(
        path=pl.format("test/{}", "path"), sha256=pl.format("test{}", "sha256")
    )
    with pytest.raises(LakeError, match="Class `c` has no photo to train on"):
        choose(pl.concat([train, test]), None, keep_splits=True)


def test_the_lakes_own_splits_are_respected_and_leaks_reported() -> None:
    parts = [
        lake(labels="ab", lake_split=split).with_columns(
            path=pl.format("{}/{}", pl.lit(split), "path"), sha256=pl.format("{}{}", pl.lit(split), "sha256")
        )
        for split in ("train", "val", "test")
    ]
    found = findings(("near_duplicate", "train/a/00.jpg", "test/a/00.jpg"))
    members = choose(pl.concat(parts), found, keep_splits=True)
    assert members["split"].to_list() == members["lake_split"].to_list()
    assert len(leaking_groups(members)) == 1


def test_without_a_test_folder_val_becomes_test_and_train_is_divided() -> None:
    parts = [
        lake(labels="ab", lake_split=split).with_columns(
            path=pl.format("{}/{}", pl.lit(split), "path"), sha256=pl.format("{}{}", pl.lit(split), "sha256")
        )
        for split in ("train", "val")
    ]
    members = choose(pl.concat(parts), None, keep_splits=True)
    counts = dict(
        members.group_by("lake_split", "split")
        .len()
        .select(pl.concat_str("lake_split", pl.lit(">"), "split"), "len")
        .rows()
    )
    assert counts == {"train>train": 16, "train>val": 4, "val>test": 20}


def test_splits_without_folders_are_a_clear_error() -> None:
    with pytest.raises(LakeError, match="--keep-splits needs the folders"):
        choose(lake(), None, keep_splits=True)
