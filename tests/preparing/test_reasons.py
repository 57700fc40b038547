"""Of files with equal bytes one takes part, whatever people decide about the others."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.preparing.reasons import with_reasons
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.settings.lake import PrepareConfig

TWICE, TWO_LABELS, DROPPED = "exact duplicate", "same photo under two labels", "dropped by a person"
NOTHING_FOUND = pl.DataFrame(schema=FINDING_TYPES)
COLUMNS = dict.fromkeys(("path", "sha256", "label", "lake_split", "error", "action", "reviewer"), pl.String)


def left_out(
    *files: tuple[str, str | None], found: pl.DataFrame = NOTHING_FOUND, **settings: object
) -> list[str | None]:
    """The reasons of files of equal bytes, each given by its path and by what somebody decided."""
    rows = []
    for path, action in files:
        kind, _, label = (action or "").partition(" ")
        rows.append((path, "5e", label or path.partition("/")[0], None, None, kind or None, "ana" if kind else None))
    members = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    return with_reasons(members, found, PrepareConfig.model_validate(settings))["left_out"].to_list()


@pytest.mark.parametrize(
    ("files", "reasons"),
    [
        ((("owl/1.jpg", None), ("owl/2.jpg", None), ("owl/3.jpg", None)), [None, TWICE, TWICE]),
        # Whoever drops one of two wants the other, also where the one was to stay.
        ((("owl/1.jpg", "drop"), ("owl/2.jpg", None), ("owl/3.jpg", None)), [DROPPED, None, TWICE]),
        ((("owl/1.jpg", None), ("owl/2.jpg", "drop")), [None, DROPPED]),
        # Whoever keeps the second one wants it too.
        ((("owl/1.jpg", None), ("owl/2.jpg", "keep"), ("owl/3.jpg", None)), [None, None, TWICE]),
        ((("owl/1.jpg", "keep"), ("owl/2.jpg", None)), [None, TWICE]),
        ((("owl/1.jpg", "keep"), ("owl/2.jpg", "keep")), [None, None]),
        ((("owl/1.jpg", "drop"), ("owl/2.jpg", "drop")), [DROPPED, DROPPED]),
        # A label that a person gave leaves none of the other beside it.
        ((("owl/1.jpg", None), ("owl/2.jpg", "relabel hawk")), [TWICE, None]),
        ((("hawk/1.jpg", None), ("owl/1.jpg", None)), [TWO_LABELS, TWO_LABELS]),
        ((("hawk/1.jpg", "drop"), ("owl/1.jpg", None)), [DROPPED, None]),
        ((("hawk/1.jpg", "drop"), ("owl/1.jpg", None), ("owl/2.jpg", None)), [DROPPED, None, TWICE]),
        ((("hawk/1.jpg", None), ("owl/1.jpg", "keep")), [TWICE, None]),
        ((("hawk/1.jpg", None), ("owl/1.jpg", "relabel hawk")), [None, None]),
        ((("hawk/1.jpg", None), ("kite/1.jpg", "keep"), ("owl/1.jpg", "keep")), [TWICE, None, None]),
        ((("hawk/1.jpg", None), ("kite/1.jpg", None), ("owl/1.jpg", "drop")), [TWO_LABELS, TWO_LABELS, DROPPED]),
    ],
)
def test_of_equal_bytes_one_stays(files: tuple[tuple[str, str | None], ...], reasons: list[str | None]) -> None:
    assert left_out(*files) == reasons


def test_what_is_decided_of_one_photo_says_nothing_of_another() -> None:
    rows = [
        (f"{label}/{sha256}.jpg", sha256, label, None, None, action, "ana" if action else None)
        for sha256, actions in (("a", (None, None)), ("b", ("drop", None)), ("c", (None, "keep")), ("d", (None,)))
        for label, action in zip(("hawk", "owl"), actions, strict=False)
    ]
    members = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    reasons = with_reasons(members, NOTHING_FOUND, PrepareConfig())["left_out"].to_list()
    assert reasons == [TWO_LABELS, TWO_LABELS, DROPPED, None, TWICE, None, None]


def test_a_class_that_is_left_out_does_not_settle_what_the_photo_shows() -> None:
    files = (("hawk/1.jpg", None), ("owl/1.jpg", None))
    assert left_out(*files, drop_classes=("hawk",)) == ["class dropped", TWO_LABELS]


def test_files_outside_of_the_lakes_own_splits_take_no_copy_along() -> None:
    members = pl.DataFrame(
        [("1.jpg", "5e", "owl", None, None, None, None), ("train/owl/1.jpg", "5e", "owl", "train", None, None, None)],
        schema=COLUMNS,
        orient="row",
    )
    outside = "in none of the lake's train, val and test folders"
    reasons = with_reasons(members, NOTHING_FOUND, PrepareConfig(keep_splits=True))["left_out"]
    assert reasons.to_list() == [outside, None]


@given(st.lists(st.sampled_from([*product(("owl", "hawk"), (None, "keep", "drop", "relabel owl"))]), min_size=1))
def test_what_people_want_stays_and_nothing_is_lost_without_a_reason(told: list[tuple[str, str | None]]) -> None:
    files = [(f"{label}/{number:02d}.jpg", action) for number, (label, action) in enumerate(told)]
    reasons = left_out(*files)
    for (_, action), reason in zip(files, reasons, strict=True):
        assert (reason == DROPPED) == (action == "drop")
        assert action in (None, "drop") or reason is None
    left = {label for label, action in told if action != "drop"}
    given = {"owl" if action == "relabel owl" else label for label, action in told if action not in (None, "drop")}
    assert reasons.count(None) >= (1 if given or len(left) == 1 else 0)
    if not given:
        assert reasons.count(None) == (1 if len(left) == 1 else 0)
    # Two labels of one photo never teach a model side by side, unless people say so.
    undecided = {label for (label, action), reason in zip(told, reasons, strict=True) if not (action or reason)}
    assert not given or undecided <= given
    assert len(undecided | given) == 1 or len(given) > 1 or not (undecided or given)
