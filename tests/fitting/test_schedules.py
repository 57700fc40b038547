"""Schedules: where they start, peak and end, that none is ever nothing, and that none ends long before its training."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.fitting.schedules import Length, is_over, plateau, share
from fledged.settings.training import OptimizeConfig

SCHEDULES = get_args(OptimizeConfig.model_fields["schedule"].annotation)
LENGTHS = st.builds(Length, st.integers(1, 120), st.integers(1, 40))
LOSSES = st.lists(st.floats(0, 10), max_size=60)


def rates(schedule: str, length: Length, val_losses: tuple[float, ...] = ()) -> list[float]:
    return [share(schedule, step, length, val_losses) for step in range(length.steps)]


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(length=LENGTHS)
def test_every_step_has_a_rate_above_nothing_and_up_to_the_peak(schedule: str, length: Length) -> None:
    shares = rates(schedule, length)
    assert len(shares) == length.epochs * length.per_epoch
    assert all(0 < value <= 1 for value in shares)


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(length=st.builds(Length, st.integers(8, 120), st.integers(1, 40)))
def test_it_reaches_its_peak(schedule: str, length: Length) -> None:
    # A triangle's tip may lie between two steps.
    assert max(rates(schedule, length)) == pytest.approx(1, abs=0.35 if schedule == "cyclic" else 1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(length=st.builds(Length, st.integers(4, 500), st.integers(1, 40)))
def test_most_steps_are_large_enough_to_learn_by(schedule: str, length: Length) -> None:
    """A step that divides by ten every seven epochs leaves a training of 100 with 1e-14 of its rate; none of these."""
    shares = rates(schedule, length)
    assert sum(value >= 0.01 for value in shares) >= 0.75 * len(shares)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@given(length=st.builds(Length, st.integers(8, 120), st.integers(1, 40)))
def test_they_rise_to_one_peak_and_fall_to_almost_nothing(schedule: str, length: Length) -> None:
    shares = rates(schedule, length)
    peak = shares.index(max(shares))
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert shares[-1] == pytest.approx(1e-4)
    assert peak <= 0.26 * length.steps + 1


def test_steps_are_at_the_half_and_at_three_quarters() -> None:
    shares = rates("step", Length(8, 5))
    assert shares == [1.0] * 20 + [0.1] * 10 + [0.01] * 10


def test_cycles_are_triangles_of_about_four_epochs_that_start_and_end_low() -> None:
    shares = rates("cyclic", Length(8, 101))
    assert (shares[0], shares[-1]) == (0.25, 0.25)
    rises = [b > a for a, b in itertools.pairwise(shares)]
    assert sum(b != a for a, b in itertools.pairwise(rises)) == 3  # up, down, up, down
    steps = {round(abs(b - a), 9) for a, b in itertools.pairwise(shares)}
    assert len([step for step in steps if step > 1e-3]) <= 3  # straight lines, but at the tips


def test_a_plateau_lowers_the_rate_once_for_every_four_epochs_without_a_better_one() -> None:
    assert plateau([]) == 1
    assert plateau([3, 2, 1, 1, 1, 1]) == 1
    assert plateau([3, 2, 1, 1, 1, 1, 1]) == pytest.approx(0.1)
    assert plateau([3, 2, 1, *[1.0] * 7]) == pytest.approx(0.1)
    assert plateau([3, 2, 1, *[1.0] * 8]) == pytest.approx(0.01)
    assert plateau([3, 2, 1, 1, 1, 1, 0.5, 1, 1, 1]) == 1
    assert plateau([1.0] * 500) == pytest.approx(1e-3)


@given(losses=LOSSES)
def test_a_plateau_never_raises_the_rate(losses: list[float]) -> None:
    shares = [plateau(losses[:n]) for n in range(len(losses) + 1)]
    assert shares == sorted(shares, reverse=True)


@given(losses=LOSSES, patience=st.integers(0, 10))
def test_it_is_over_when_the_best_is_as_old_as_the_patience(losses: list[float], patience: int) -> None:
    age = len(losses) - 1 - losses.index(min(losses)) if losses else 0
    assert is_over(losses, patience) is (patience > 0 and bool(losses) and age >= patience)


def test_an_unknown_schedule_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(ValueError, match="no schedule 'linear'"):
        share("linear", 0, Length(1, 1))


def test_one_step_is_a_whole_training() -> None:
    assert all(math.isfinite(rates(schedule, Length(1, 1))[0]) for schedule in SCHEDULES)
