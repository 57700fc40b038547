"""What belongs together, why, and what does not."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.preparing.groups import MAX_BURST_S, bursts, group_photos, groups_of, hint, ties_by_key
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.settings.lake import PrepareConfig

NO_FINDINGS = pl.DataFrame(schema=FINDING_TYPES)


def photos(paths: list[str], **known: list[str | None]) -> pl.DataFrame:
    values: dict[str, list[str | None]] = {
        "path": [*paths],
        "sha256": [f"{i:016x}" if len(paths) > 16 else f"{i:x}" * 64 for i in range(len(paths))],
    }
    for name in ("camera", "taken_at", "source_url", "original_name", "user_group"):
        values[name] = known.get(name, [None] * len(paths))
    return pl.DataFrame(values, schema=dict.fromkeys(values, pl.String))


def partition(table: pl.DataFrame, **changed: object) -> tuple[list[int], list[str | None]]:
    """The groups as numbers in the order of their first photo, and the reasons."""
    grouped = group_photos(table, NO_FINDINGS, PrepareConfig.model_validate(changed))
    keys = grouped["group"].to_list()
    first = list(dict.fromkeys(keys))
    return [first.index(key) for key in keys], grouped["group_reason"].to_list()


def test_findings_of_the_review_tie_and_say_why() -> None:
    found = pl.DataFrame(
        [
            ("near_duplicate", "b.jpg", "a.jpg", None, 0.97, 0.96, "look"),
            ("label_conflict", "c.jpg", "b.jpg", None, 0.97, 0.96, "look"),
            ("tiny", "d.jpg", None, None, 10.0, 64.0, "drop"),
        ],
        schema=FINDING_TYPES,
        orient="row",
    )
    grouped = group_photos(photos(["a.jpg", "b.jpg", "c.jpg", "d.jpg"]), found, PrepareConfig())
    assert grouped["group"].to_list() == ["0" * 16] * 3 + ["3" * 16]
    assert grouped["group_reason"].to_list() == [
        "near duplicate",
        "near duplicate; same picture, two labels",
        "same picture, two labels",
        None,
    ]


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 60), data=st.data())
def test_ties_are_transitive_and_join_nothing_else(n: int, data: st.DataObject) -> None:
    ties = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=80))
    numbers = groups_of(n, ties)
    # The slow and obvious way: spread the smallest number until nothing changes.
    slow = list(range(n))
    changed = True
    while changed:
        changed = False
        for a, b in ties:
            low = min(slow[a], slow[b])
            changed |= slow[a] != low or slow[b] != low
            slow[a] = slow[b] = low
    assert [[numbers[i] == numbers[j] for j in range(n)] for i in range(n)] == [
        [slow[i] == slow[j] for j in range(n)] for i in range(n)
    ]


def test_equal_keys_are_tied_and_none_ties_nothing() -> None:
    numbers = groups_of(5, ties_by_key(["a", None, "a", None, "b"]))
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == 4


def test_variants_of_one_photo_and_frames_of_one_video_are_known_by_their_names() -> None:
    hashes = ["49cf79ededcab42c160f599b1104f421", "dd331440f1cc9338d6c4ff82cd7200d6", "8KhJ2mYqkV0aLw3PzXcR"]
    names = [
        *(f"a/owl_jpg.rf.{code}.jpg" for code in hashes),
        f"b/owl2_jpg.rf.{hashes[0]}.jpg",
        *(f"a/night_mp4-{number}_jpg.rf.{code}.jpg" for number, code in zip((3, 44), hashes, strict=False)),
        "b/night.mp4_frame_0007.png",
        "b/night.mov 0007.png",
    ]
    groups, reasons = partition(photos(names))
    assert groups == [0, 0, 0, 1, 2, 2, 3, 4]
    assert reasons == ["variants of a photo"] * 3 + [None] + ["frames of a video"] * 2 + [None, None]
    assert partition(photos(names), group_by="")[0] == list(range(8))
    assert partition(photos(names), group_by=r"^(owl|night)")[0] == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "names",
    [
        ["img_001.jpg", "img_002.jpg"],
        ["DSC00012.JPG", "DSC00013.JPG"],
        ["bike frame 1.jpg", "bike frame 2.jpg"],
        ["clip_frame0012.jpg", "clip_frame0013.jpg"],
        ["a.rf.1.jpg", "a.rf.2.jpg"],
        ["photo (1).jpg", "photo (2).jpg"],
        ["mp4-player-1.jpg", "mp4-player-2.jpg"],
        ["-1.jpg", ".rf.0123456789abcdef0123.jpg"],
        ["", ".jpg"],
    ],
)
def test_plain_numbered_photos_are_not_glued_together(names: list[str]) -> None:
    assert partition(photos(names))[0] == [0, 1]


@settings(max_examples=200, deadline=None)
@given(names=st.lists(st.text(max_size=40), min_size=1, max_size=20, unique=True))
def test_any_name_can_be_grouped(names: list[str]) -> None:
    groups, _ = partition(photos([name.replace("/", "") for name in names]))
    assert len(groups) == len(names)


def test_names_that_seem_to_count_frames_get_a_hint_and_no_others() -> None:
    frames = [f"a/clip{video}-{number:05d}.png" for video in (1, 2) for number in range(12)]
    assert hint(frames) == frames[0]
    for plain in ("img_{:04d}", "camel_{:03d}", "david {:02d}", "{:06d}", "DSC{:05d}", "clip_mp4-{:04d}"):
        assert hint([f"a/{plain.format(number)}.jpg" for number in range(30)]) is None


def test_shots_of_one_camera_within_seconds_are_one_burst() -> None:
    times = ["2024-05-01T10:00:00", "2024-05-01T10:00:03", "2024-05-01T10:00:06", "2024-05-01T10:00:10"]
    table = photos(["a", "b", "c", "d"], camera=["Canon"] * 4, taken_at=[*times])
    assert partition(table) == ([0, 0, 0, 1], ["burst", "burst", "burst", None])
    assert partition(table, burst_s=4.0)[0] == [0, 0, 0, 0]
    assert partition(table, burst_s=0.0)[0] == [0, 1, 2, 3]
    # In any order of the files.
    assert partition(table[[2, 3, 0, 1]])[0] == [0, 1, 0, 0]


def test_bursts_need_one_camera_a_time_and_a_clock_that_was_set() -> None:
    time = "2024-05-01T10:00:00"
    assert not bursts(["Canon", "Nikon", None, None], [time] * 4, 3.0)
    assert not bursts(["Canon"] * 3, [time, None, "2024-13-41T10:00:00"], 3.0)
    assert not bursts(["Canon"] * 2, ["2000-01-01T00:00:00", "2000-01-01T00:00:01"], 3.0)
    assert bursts(["Canon"] * 2, [time, time], 3.0) == [(0, 1)]


def test_an_endless_chain_of_shots_is_cut() -> None:
    n = 200
    times = [f"2024-05-01T10:{second // 60:02d}:{second % 60:02d}" for second in range(0, 2 * n, 2)]
    groups, _ = partition(photos([f"{i:03d}" for i in range(n)], camera=["Canon"] * n, taken_at=[*times]))
    spans = [2 * (groups.count(number) - 1) for number in set(groups)]
    assert max(spans) == MAX_BURST_S
    assert len(spans) == -(-n // 31)


def test_one_address_of_the_web_and_one_users_group_hold_together() -> None:
    urls = [
        "https://x.org/1.jpg",
        "https://x.org/1.jpg#top",
        "https://x.org/1.jpg?n=2",
        "photos.zip",
        "photos.zip",
        None,
    ]
    groups, reasons = partition(photos([*"abcdef"], source_url=[*urls], user_group=["u", None, None, "u", None, None]))
    assert groups == [0, 0, 1, 0, 2, 3]
    assert reasons == ["source address; user's group", "source address", None, "user's group", None, None]


def test_a_collected_photo_is_known_by_the_name_that_it_had() -> None:
    names = [f"gull_jpg.rf.{'a' * 32}.jpg", f"owl_jpg.rf.{'b' * 32}.jpg", f"gull_jpg.rf.{'c' * 32}.jpg", None]
    groups, reasons = partition(photos([*"abcd"], original_name=names))
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3
    assert reasons[0] is not None
