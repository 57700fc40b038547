"""Each finding comes once, photos that show the same come together, the surest first."""

from __future__ import annotations

import json

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.reviewing.queue import queue_items, queue_record
from tests.reviewing.conftest import BIRD, COPTER, DRONE, FINDINGS, Place

KINDS = ["tiny", "near_duplicate", "likely_mislabel", "never heard of"]


def photos(n: int) -> pl.DataFrame:
    empty = ("width_px", "height_px", "n_bytes", "format", "taken_at", "camera", "error")
    return pl.DataFrame(
        {"path": [f"{i:03d}" for i in range(n)], "label": [f"class {i % 3}" for i in range(n)]}
        | {name: [None] * n for name in empty}
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS), st.integers(0, 40), st.none() | st.integers(0, 40), st.none() | st.just("class 1")
        )
    )
)
def test_every_finding_and_every_photo_is_in_one_item(rows: list[tuple[str, int, int | None, str | None]]) -> None:
    findings = pl.DataFrame(
        [
            (kind, f"{path:03d}", None if related is None else f"{related:03d}", label, float("nan"), None, "look")
            for kind, path, related, label in rows
        ],
        schema=FINDING_TYPES,
        orient="row",
    )
    items = queue_items(photos(41), findings)
    assert sorted(number for item in items for number in item.findings) == list(range(len(rows)))
    rows_shown = [row for item in items for row in item.photos]
    assert len(rows_shown) == len(set(rows_shown))
    assert all(path in item.photos for item in items for path in [rows[number][1] for number in item.findings])
    assert [item.findings[0] for item in items] == sorted(item.findings[0] for item in items)
    assert all(len(item.photos) <= 24 for item in items)
    json.dumps(queue_record(photos(41), findings), allow_nan=False)


def test_copies_come_together_and_a_mislabel_comes_alone(place: Place) -> None:
    items = queue_items(place.snapshot.photos(), place.review.findings())
    paths = place.snapshot.photos()["path"].to_list()
    shown = [[paths[row] for row in item.photos] for item in items]
    assert shown == [
        [f"{BIRD}/broken.jpg"],
        [f"{BIRD}/0.jpg", f"{BIRD}/copy.jpg"],
        [f"{COPTER}/same as 5.jpg", f"{DRONE}/5.jpg"],
        [f"{BIRD}/1.jpg"],
        [f"{COPTER}/tiny.jpg"],
        [f"{DRONE}/2.jpg"],
        [f"{DRONE}/3.jpg"],
    ]


def test_examples_are_photos_without_a_finding_of_that_class(place: Place) -> None:
    table = place.snapshot.photos()
    record = queue_record(table, place.review.findings())
    examples = record["examples"]
    assert isinstance(examples, dict)
    assert set(examples) == {BIRD, DRONE, COPTER}
    found = {row[1] for row in FINDINGS}
    for label, rows in examples.items():
        assert len(rows) >= 4
        for row in rows:
            assert table["label"][row] == label
            assert table["error"][row] is None
        assert len(set(table["path"].gather(rows)) - found) >= 4
