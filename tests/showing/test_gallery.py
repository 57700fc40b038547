"""Which photos are shown: mistakes, right answers and doubted labels, by what the model said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fledged.measuring.answering import Answers
from fledged.measuring.photos import Photo
from fledged.showing.gallery import doubted_rows, gallery_of


def answers_of(rows: Sequence[tuple[int, Sequence[float]]], unreadable: Sequence[int] = ()) -> Answers:
    """Answers to photos that are not there, each with its class and probabilities."""
    photos = [Photo(f"{n}.jpg", Path("/nowhere") / f"{n}.jpg", true, "") for n, (true, _) in enumerate(rows)]
    probabilities = np.array([shares for _, shares in rows], dtype=np.float32)
    errors = tuple("gone" if n in unreadable else None for n in range(len(rows)))
    return Answers(photos, tuple("abcdefgh"[: probabilities.shape[1]]), probabilities, errors)


def paths(shown: Sequence[object]) -> list[str]:
    return [photo.path for photo in shown]  # type: ignore[attr-defined]


def test_a_label_is_doubted_where_the_answer_is_as_sure_as_usual() -> None:
    # Photos of class 1 get 0.8 for it on average: (0.9 + 0.9 + 0.6) / 3.
    rows = [(1, (0.1, 0.9)), (1, (0.1, 0.9)), (1, (0.4, 0.6)), (0, (0.21, 0.79)), (0, (0.19, 0.81)), (0, (0.05, 0.95))]
    assert doubted_rows(answers_of([*rows, (0, (0.9, 0.1))])) == [5, 4]
    # Rows are counted among the answered photos.
    assert doubted_rows(answers_of([*rows, (0, (0.9, 0.1))], unreadable=[0])) == [4, 3, 2]  # of 0.75


def test_a_class_without_photos_makes_no_doubts() -> None:
    assert doubted_rows(answers_of([(0, (0.1, 0.9)), (0, (0.9, 0.1))])) == []


def test_right_answers_are_the_least_and_the_most_confident_of_each_class() -> None:
    shares = [0.51, 0.99, 0.7, 0.6, 0.8]
    answers = answers_of([(0, (p, 1 - p)) for p in shares] + [(1, (1 - p, p)) for p in shares])
    first, second = gallery_of(answers, 0, 8, 0).right
    assert (first.label, first.n, paths(first.least), paths(first.most)) == (
        "a",
        5,
        ["0.jpg", "3.jpg"],
        ["1.jpg", "4.jpg"],
    )
    assert (second.class_index, paths(second.least), paths(second.most)) == (1, ["5.jpg", "8.jpg"], ["6.jpg", "9.jpg"])
    (few, _) = gallery_of(answers, 0, 20, 0).right
    assert paths(few.least) == ["0.jpg", "3.jpg", "2.jpg", "4.jpg", "1.jpg"]
    assert few.most == ()  # a photo is shown once


def test_of_many_classes_the_right_answers_are_shown_together() -> None:
    answers = answers_of([(n % 8, np.eye(8)[n % 8] * 0.5 + n / 100) for n in range(16)])
    (group,) = gallery_of(answers, 0, 4, 0).right
    assert (group.class_index, group.label, group.n) == (-1, "", 16)
    assert (paths(group.least), paths(group.most)) == (["0.jpg", "1.jpg"], ["15.jpg", "14.jpg"])


def test_every_kind_of_mistake_is_shown_before_any_has_a_second() -> None:
    sure = [(0, (0.01 * n, 1 - 0.01 * n, 0)) for n in range(9)]  # all of one kind, and surer than any other mistake
    answers = answers_of([*sure, (2, (0.5, 0.4, 0.1)), (2, (0.6, 0.3, 0.1)), (1, (0.2, 0.3, 0.5))])
    gallery = gallery_of(answers, 4, 0, 0)
    assert [(group.label, group.predicted, group.n, paths(group.shown)) for group in gallery.mistakes] == [
        ("a", "b", 9, ["0.jpg", "1.jpg"]),
        ("c", "a", 2, ["10.jpg"]),
        ("b", "c", 1, ["11.jpg"]),
    ]
    assert all(gallery.shown(*cell) for cell in ((0, 1), (2, 0), (1, 2)))
    assert [paths(group.shown) for group in gallery_of(answers, 2, 0, 0).mistakes] == [["0.jpg"], ["10.jpg"]]


def test_each_class_of_a_page_shows_a_right_answer_where_there_are_as_many_as_classes() -> None:
    answers = answers_of([(n % 8, np.eye(8)[n % 8] * 0.5 + n / 100) for n in range(16)])
    groups = gallery_of(answers, 0, 8, 0).right
    assert [(group.class_index, paths(group.least), group.most) for group in groups] == [
        (index, [f"{index}.jpg"], ()) for index in range(8)
    ]


def test_mistakes_are_grouped_by_cell_and_equals_are_in_order() -> None:
    answers = answers_of([(0, (0.2, 0.8)), (1, (0.7, 0.3)), (0, (0.2, 0.8)), (0, (0.1, 0.9)), (1, (0.3, 0.7))])
    gallery = gallery_of(answers, 3, 1, 1)
    assert [(group.label, group.predicted, group.n, paths(group.shown)) for group in gallery.mistakes] == [
        ("a", "b", 3, ["3.jpg", "0.jpg"]),
        ("b", "a", 1, ["1.jpg"]),
    ]
    assert gallery.shown(0, 1)
    assert not gallery.shown(1, 1)  # one right answer for two classes
    assert (gallery.n_doubts, paths(gallery.doubts)) == (4, ["3.jpg"])
    assert all(photo.thumbnail is None for group in gallery.mistakes for photo in group.shown)
