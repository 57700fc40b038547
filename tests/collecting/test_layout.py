"""Which class a file belongs to, by the folders above it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.collecting.layout import folders_of, is_clutter, placing


def places(*names: str, label: str = "", wrapped: bool = True) -> list[tuple[str | None, str]]:
    place = placing(names, label, wrapped)
    return [place(name) for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["owl/1", "hawk/2"], [(None, "owl"), (None, "hawk")]),
        (["data/owl/1", "data/hawk/2", "data/readme"], [(None, "owl"), (None, "hawk"), (None, "")]),
        (["repo-main/data/owl/1", "repo-main/data/hawk/2"], [(None, "owl"), (None, "hawk")]),
        (["owl/1", "owl/2"], [(None, "owl"), (None, "owl")]),
        (["owl/1", "owl/2", "owl/more/3"], [(None, "owl")] * 3),
        (["owl/2020/1", "hawk/2"], [(None, "owl"), (None, "hawk")]),
        (["train/owl/1", "Valid/owl/2", "test/hawk/3"], [("train", "owl"), ("val", "owl"), ("test", "hawk")]),
        (["set/train/owl/1", "set/test/owl/2"], [("train", "owl"), ("test", "owl")]),
        (["set/train/owl/1"], [("train", "owl")]),
        (["train/1", "plane/2"], [(None, "train"), (None, "plane")]),
        (["1", "2"], [(None, ""), (None, "")]),
        (["./owl/1", "owl//2", "owl\\3"], [(None, "owl")] * 3),
        (["../../etc/owl/1", "/etc/hawk/2"], [(None, "owl"), (None, "hawk")]),
        (["owl/1", "hawk/2", "__MACOSX/owl/._1", ".git/x/y"], [(None, "owl"), (None, "hawk")]),
    ],
)
def test_places(names: list[str], expected: list[tuple[str | None, str]]) -> None:
    assert places(*names)[: len(expected)] == expected


def test_a_label_that_is_given_is_that_of_all() -> None:
    assert places("a/1", "b/2", "3", label="owl") == [(None, "owl")] * 3
    assert places("train/1", "test/2", label="owl") == [("train", "owl"), ("test", "owl")]


def test_the_folder_that_a_user_names_is_no_wrapper() -> None:
    assert places("owl/2019/1", "owl/2020/2", wrapped=False) == [(None, "owl")] * 2


@pytest.mark.parametrize("name", ["__MACOSX/a.jpg", "owl/.DS_Store", "owl/Thumbs.db", ".git/a.jpg", "owl\\._a.jpg"])
def test_clutter(name: str) -> None:
    assert is_clutter(name)
    assert not is_clutter("../owl/a.jpg")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("ab./\\~é train", max_size=14), max_size=8))
def test_no_name_gives_a_label_that_leaves_its_folder(names: list[str]) -> None:
    for _, label in places(*names):
        assert not set(label) & {"/", "\\"}
        assert label.strip() not in (".", "..")
    assert all(part not in ("", ".", "..") for name in names for part in folders_of(name))
