"""What would help is said where a fact that was measured says so, and else not."""

from __future__ import annotations

import dataclasses

import pytest

from fledged.measuring.confusions import PairFacts, differ_by_size, what_would_help

NOTHING = PairFacts(true="owl", predicted="hawk", n=9, n_trained_true=500, n_trained_predicted=600)


def told(**facts: object) -> str:
    return " ".join(what_would_help(dataclasses.replace(NOTHING, **facts)))  # type: ignore[arg-type]


def test_nothing_measured_nothing_said() -> None:
    assert what_would_help(NOTHING) == []
    assert what_would_help(PairFacts(true="a", predicted="b", n=3)) == []


@pytest.mark.parametrize(
    ("first", "second", "do"),
    [
        ("small_quadcopter", "large_quadcopter", True),
        ("Large QuadCopters", "Small QuadCopters", True),
        ("SmallDrone", "drone", True),
        ("small", "large", True),
        ("small owl", "large hawk", False),
        ("drone", "Drone", False),
        ("drone", "drone", False),
        ("smallpox", "pox", False),
    ],
)
def test_classes_that_differ_by_size(first: str, second: str, do: bool) -> None:
    assert differ_by_size(first, second) is differ_by_size(second, first) is do


def test_scale_is_not_visible_in_a_crop() -> None:
    assert "Scale is not visible in a crop" in told(true="small owl", predicted="large owl")


@pytest.mark.parametrize(("n_copies", "n_told"), [(3, 1), (2, 0), (None, 0)])
def test_the_same_picture_under_two_labels(n_copies: int | None, n_told: int) -> None:
    assert told(n_copies=n_copies).count("3 of the 9 to be near-duplicates of photos that are labelled hawk") == n_told


@pytest.mark.parametrize(("n", "n_doubtful", "n_told"), [(9, 3, 1), (9, 2, 0), (1, 1, 0), (2, 2, 1)])
def test_labels_that_may_be_wrong(n: int, n_doubtful: int, n_told: int) -> None:
    assert told(n=n, n_doubtful=n_doubtful).count("so sure of its answer that the label may be wrong") == n_told


def test_too_few_photos() -> None:
    assert "learned from 200 photos of owl and from 600 of hawk" in told(n_trained_true=200)
    assert "train.balance=weights" in told(n_trained_true=200)
    assert told(n_trained_true=201) == ""
    assert "learned owl from 99 photos alone" in told(n_trained_true=99, n_trained_predicted=99)
    assert told(n_trained_true=100, n_trained_predicted=99) == ""


def test_what_the_nearest_training_photos_say() -> None:
    assert "For 6 of the 9 the training photo that is most alike" in told(n_looked_up=9, n_nearest_answered=6)
    assert "does not tell the two apart" in told(n_looked_up=9, n_nearest_answered=6, n_nearest_true=3)
    assert told(n_looked_up=9, n_nearest_answered=5, n_nearest_true=4) == ""
    assert "For all 9" in told(n_looked_up=9, n_nearest_true=9)
    assert "the head makes too little of it" in told(n_looked_up=9, n_nearest_true=9)
    assert told(n_looked_up=1, n_nearest_answered=1) == ""


def test_names_cannot_hide_what_they_are() -> None:
    assert "\u202e" not in told(predicted="ha\u202ewk", n_looked_up=9, n_nearest_answered=9)
