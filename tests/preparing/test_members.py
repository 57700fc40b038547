"""Who is in, who is out and why, and what belongs together."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.config import resolve
from fledged.errors import ConfigError, LakeError
from fledged.preparing.members import choose_members, leaking_groups
from fledged.preparing.reasons import CLAIMED
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.settings.lake import PrepareConfig

NO_DECISIONS = pl.DataFrame(schema=dict.fromkeys(("path", "action", "label", "reviewer"), pl.String))


NOTHING_KNOWN = dict.fromkeys(
    ("camera", "taken_at", "source_url", "original_name", "user_group"), pl.lit(None, pl.String)
)


def lake(n: int = 10, labels: Iterable[str] = "ab", lake_split: str | None = None) -> pl.DataFrame:
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
    return pl.DataFrame([(*row, "ana") for row in rows], schema=NO_DECISIONS.schema, orient="row")


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
    with pytest.raises(LakeError, match=r"`c` has 2 usable photos in 1 group \(near duplicate\);.*--drop-classes c\."):
        choose(photos, alike)
    assert reasons(choose(photos, alike, drop_classes=("c",))) == {
        "c/00.jpg": "class dropped",
        "c/01.jpg": "class dropped",
    }


def test_all_classes_that_are_too_small_are_named_at_once() -> None:
    photos = pl.concat([lake(), *(lake(n=1, labels=[label]) for label in ("z's", *"defghijk"))])
    with pytest.raises(LakeError) as raised:
        choose(photos)
    assert "Class `d` has 1 usable photo, `e` has 1 usable photo," in raised.value.what
    assert "and 1 more class has too few; train and test" in raised.value.what
    words = shlex.split(raised.value.remedy.partition("with: ")[2])
    assert words[1::2] == [*"defghijk", "z's"]
    assert set(choose(photos, drop_classes=tuple(words[1::2])).filter(pl.col("split").is_not_null())["label"]) == {
        "a",
        "b",
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


def test_a_dropped_class_is_not_missed_for_photos_that_could_not_be_read_or_were_in_two_classes() -> None:
    photos = with_(pl.concat([lake(), lake(n=4, labels="c")]), "c/00.jpg", error="truncated")
    photos = with_(photos, "c/01.jpg", sha256="a00")
    found = findings(("label_conflict", "c/01.jpg", "a/00.jpg"))
    members = choose(photos, found, drop_classes=("c",))
    assert set(members.filter(pl.col("split").is_not_null())["label"]) == {"a", "b"}
    assert reasons(members)["c/00.jpg"] == "unreadable: truncated"


def test_a_class_that_the_lakes_train_folder_does_not_know_is_a_clear_error() -> None:
    train = lake(labels="ab", lake_split="train")
    test = lake(labels="abc", lake_split="test").with_columns(
        path=pl.format("test/{}", "path"), sha256=pl.format("test{}", "sha256")
    )
    with pytest.raises(LakeError, match=r"no photo to train on of class `c` .*--drop-classes c,"):
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


def test_photos_outside_of_the_lakes_own_folders_are_left_out_with_that_reason() -> None:
    parts = [
        lake(labels="ab", lake_split=split).with_columns(
            path=pl.format("{}/{}", pl.lit(split), "path"), sha256=pl.format("{}{}", pl.lit(split), "sha256")
        )
        for split in ("train", "test")
    ]
    stray = lake(n=1, labels="a").with_columns(path=pl.lit("other/a.jpg"), sha256=pl.lit("other"))
    members = choose(pl.concat([*parts, stray]), None, keep_splits=True)
    assert reasons(members) == {"other/a.jpg": "in none of the lake's train, val and test folders"}


def remembered_of(members: pl.DataFrame, before: dict[str, str] | None = None) -> dict[str, str]:
    return dict(members.filter(pl.col("part").is_not_null()).select("sha256", "part").rows()) | (before or {})


def test_a_photo_that_joins_two_groups_moves_nobody_and_the_smaller_side_is_left_out() -> None:
    photos = lake(n=40)
    alike = findings(("near_duplicate", "a/01.jpg", "a/00.jpg"))
    first = choose_members(photos, alike, decisions(), PrepareConfig())
    split = dict(first.select("path", "split").rows())
    other = next(path for path, of in split.items() if path.startswith("a/") and of not in (None, split["a/00.jpg"]))
    bridge = lake(n=1, labels="a").with_columns(path=pl.lit("a/new.jpg"), sha256=pl.lit("a new one"))
    joined = pl.concat([alike, *(findings(("near_duplicate", "a/new.jpg", path)) for path in ("a/00.jpg", other))])
    grown = pl.concat([photos, bridge])
    second = choose_members(grown, joined, decisions(), PrepareConfig(), remembered_of(first))
    assert reasons(second) == {other: "alike photos are in another split"}
    now = dict(second.select("path", "split").rows())
    assert now["a/new.jpg"] == split["a/00.jpg"]
    assert all(now[path] == of for path, of in split.items() if path != other)
    # Without the bridge the photo is back where it was.
    memory = remembered_of(second, remembered_of(first))
    assert (
        dict(choose_members(photos, alike, decisions(), PrepareConfig(), memory).select("path", "split").rows())
        == split
    )


def test_of_two_sides_of_one_size_test_stays() -> None:
    photos = lake(n=40)
    first = choose_members(photos, findings(), decisions(), PrepareConfig())
    by_split = {of: path for path, of in first.filter(pl.col("label") == "a").select("path", "split").rows()}
    joined = findings(
        ("near_duplicate", by_split["train"], by_split["test"]), ("near_duplicate", by_split["val"], by_split["test"])
    )
    second = choose_members(photos, joined, decisions(), PrepareConfig(), remembered_of(first))
    assert set(reasons(second)) == {by_split["train"], by_split["val"]}


def test_each_fold_is_test_once_and_val_once_and_groups_stay_whole() -> None:
    photos = pl.concat([lake(n=23), lake(n=3, labels="c")])
    alike = findings(("near_duplicate", "a/01.jpg", "a/00.jpg"), ("near_duplicate", "a/02.jpg", "a/01.jpg"))
    folds = [choose_members(photos, alike, decisions(), PrepareConfig(fold=f"{i}/5")) for i in range(1, 6)]
    for split in ("test", "val"):
        paths = [path for members in folds for path in members.filter(pl.col("split") == split)["path"]]
        assert sorted(paths) == sorted(photos["path"])
    for members in folds:
        assert members.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
        assert set(members.filter(pl.col("split") == "train")["label"]) == {"a", "b", "c"}
    sizes = [members.filter((pl.col("split") == "test") & (pl.col("label") == "a")).height for members in folds]
    assert max(sizes) - min(sizes) <= 3


def test_a_class_of_two_groups_has_no_folds() -> None:
    with pytest.raises(LakeError, match="folds need a group of photos that belong together each, so 3"):
        choose(pl.concat([lake(), lake(n=2, labels="c")]), None, fold="1/5")


@pytest.mark.parametrize("fold", ["1", "0/5", "6/5", "1/2", "a/b", "1/5/2", "-1/5"])
def test_a_fold_that_cannot_be_is_refused(fold: str) -> None:
    with pytest.raises(ConfigError, match=r"prepare\.fold.*1/5"):
        resolve(PrepareConfig, {"fold": fold})


def test_folds_and_the_lakes_own_splits_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        resolve(PrepareConfig, {"fold": "1/5", "keep_splits": True})


def test_a_group_of_two_labels_counts_under_the_rarer() -> None:
    photos = pl.concat([lake(n=60, labels="a"), lake(n=4, labels="b")])
    mixed = findings(*(("label_conflict", f"b/{i:02d}.jpg", f"a/{i:02d}.jpg") for i in range(4)))
    members = choose(photos, mixed.with_columns(score=0.97))
    assert set(members.filter(pl.col("label") == "b")["split"]) == {"train", "val", "test"}
    assert members.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1


some_lakes = st.integers(30, 80).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40),
        st.lists(st.sets(st.integers(0, n - 1), max_size=n // 3), min_size=2, max_size=5),
    )
)


@settings(max_examples=25, deadline=None)
@given(drawn=some_lakes, fold=st.sampled_from(["", "", "2/4"]), seed=st.integers(0, 3))
def test_nobody_ever_moves_and_no_group_is_on_two_sides(
    drawn: tuple[int, list[tuple[int, int]], list[set[int]]], fold: str, seed: int
) -> None:
    """A lake whose photos come and go at random, some of them like others; `absent` are missing at each prepare."""
    n, alike, times = drawn
    whole = lake(n=n)
    config = PrepareConfig(fold=fold, seed=seed)
    memory: dict[str, str] = {}
    for absent in times:
        there = whole.filter(pl.col("path").is_in([f"{label}/{i:02d}.jpg" for label in "ab" for i in absent]).not_())
        paths = set(there["path"])
        pairs = [(f"a/{i:02d}.jpg", f"a/{j:02d}.jpg") for i, j in alike if i != j]
        found = findings(*(("near_duplicate", *pair) for pair in pairs if paths.issuperset(pair)))
        try:
            members = choose_members(there, found, decisions(), config, memory)
        except LakeError as error:
            assert "groups of photos that belong together" in str(error)
            continue
        used = members.filter(pl.col("part").is_not_null())
        assert used.group_by("group").agg(pl.col("part").n_unique())["part"].max() == 1
        now = remembered_of(members)
        assert all(memory.get(sha256, part) == part for sha256, part in now.items())
        assert members.filter(pl.col("part").is_null() == pl.col("left_out").is_null()).is_empty()
        again = choose_members(there, found, decisions(), config, now | memory)
        assert again.equals(members)
        # Neither the names nor the order of the files decide.
        renamed = there.reverse().with_columns(path=pl.format("z{}", "path"))
        of_renamed = found.with_columns(path=pl.format("z{}", "path"), related_path=pl.format("z{}", "related_path"))
        assert remembered_of(choose_members(renamed, of_renamed, decisions(), config, memory)) == now
        memory = now | memory


def claims(*paths: str) -> pl.DataFrame:
    rows = [("feedback", path, None, None, None, None, "look") for path in paths]
    return pl.DataFrame(rows, schema=FINDING_TYPES, orient="row")


def test_what_somebody_said_is_left_out_until_a_person_decides() -> None:
    assert reasons(choose(lake(), claims("a/00.jpg"))) == {"a/00.jpg": CLAIMED}
    assert reasons(choose(lake(), claims("a/00.jpg"), decisions(("a/00.jpg", "keep", None)))) == {}
    assert reasons(choose(lake(), claims("a/00.jpg"), decisions(("a/00.jpg", "relabel", "b")))) == {}
    dropped = choose(lake(), claims("a/00.jpg"), decisions(("a/00.jpg", "drop", None)))
    assert reasons(dropped) == {"a/00.jpg": "dropped by a person"}
    advised = decisions(("a/00.jpg", "relabel", "b")).with_columns(reviewer=pl.lit("advice"))
    assert reasons(choose(lake(), claims("a/00.jpg"), advised)) == {"a/00.jpg": CLAIMED}


def test_a_claim_takes_away_no_photo_that_was_there() -> None:
    photos = with_(with_(lake(), "b/00.jpg", sha256="a00"), "a/01.jpg", sha256="a02")
    found = findings(("label_conflict", "b/00.jpg", "a/00.jpg"), ("exact_duplicate", "a/02.jpg", "a/01.jpg"))
    chosen = choose(photos, pl.concat([found, claims("b/00.jpg", "a/01.jpg")]))
    assert reasons(chosen) == {"b/00.jpg": CLAIMED, "a/01.jpg": CLAIMED}
    # Once a person agrees, it counts as any other.
    agreed = choose(photos, pl.concat([found, claims("b/00.jpg")]), decisions(("b/00.jpg", "keep", None)))
    assert reasons(agreed) == {"a/00.jpg": "exact duplicate", "a/02.jpg": "exact duplicate"}


def test_a_class_of_claims_alone_is_none() -> None:
    photos = pl.concat([lake(), lake(n=2, labels="u")])
    chosen = choose(photos, claims("u/00.jpg", "u/01.jpg"))
    assert set(chosen.filter(pl.col("left_out").is_null())["label"]) == {"a", "b"}
