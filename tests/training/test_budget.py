"""Plans keep to the time if the costs hold, and more time never makes a smaller plan."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.errors import ConfigError
from fledged.training.budget import (
    Clock,
    Cost,
    Planned,
    Timing,
    epochs_in,
    ladder,
    lines,
    planned,
    seconds_of,
    spare,
    why_no_more,
)

SECONDS = st.floats(0, 1e4, allow_nan=False)


@st.composite
def rungs(draw: st.DrawFn) -> list[tuple[Cost, int]]:
    costs = [
        Cost(
            unfreeze,
            224,
            draw(SECONDS),
            draw(SECONDS),
            draw(SECONDS),
            tuple(draw(SECONDS) for _ in range(4)),
            draw(st.floats(1e-4, 1e3)),
            epochs,
        )
        for unfreeze, epochs in ((0, (20, 60)), (1, (8, 30)), (3, (8, 30)), (6, (8, 30)))
    ]
    return ladder(costs[: draw(st.integers(1, 4))], draw(st.sampled_from([(1,), (1, 2, 4), (3,)])))


@given(rungs(), SECONDS)
def test_a_plan_never_exceeds_the_time(some: list[tuple[Cost, int]], time_s: float) -> None:
    plan = planned(some, time_s)
    if plan is None:
        assert all(cost.seconds(n_views, cost.epochs[0]) > time_s for cost, n_views in some)
        return
    assert plan.seconds <= time_s
    fewest, most = plan.cost.epochs
    assert fewest <= plan.epochs <= most
    # Another epoch would be too many, or of no use.
    assert plan.epochs == most or plan.cost.seconds(plan.views, plan.epochs + 1) > time_s * (1 - 1e-9)


@given(rungs(), SECONDS, SECONDS)
def test_more_time_never_gives_a_smaller_plan(some: list[tuple[Cost, int]], time_s: float, more_s: float) -> None:
    def size(plan: Planned | None) -> tuple[int, int]:
        return (some.index((plan.cost, plan.views)), plan.epochs) if plan else (-1, 0)

    assert size(planned(some, time_s)) <= size(planned(some, time_s + more_s))


def test_the_ladder_climbs_from_views_of_a_head_to_blocks() -> None:
    head, one, three = (Cost(n, 224, 0, 0, 0, (1.0,) * 4, 1, (1, 2)) for n in (0, 1, 3))
    climbed = [(cost.unfreeze, views) for cost, views in ladder([head, one, three], (1, 2, 4))]
    assert climbed == [(0, 1), (0, 2), (0, 4), (1, 4), (3, 4)]
    assert [views for _, views in ladder([three], (1, 2, 4))] == [1, 2, 4]  # where blocks are asked for
    assert [views for _, views in ladder([Cost(-1, 224, 0, 0, 0, (), 1, (1, 2))], (1, 2, 4))] == [4]


def test_there_is_always_an_epoch() -> None:
    assert epochs_in(Cost(0, 224, 4, 5, 1, (5,), 1, (20, 60)), 1, 3) == 1


def test_the_plan_is_told_with_the_seconds_of_its_parts() -> None:
    plan = Planned(Cost(3, 160, 5, 3, 1, (10, 11, 12, 13), 2.5, (8, 30)), 4, 12)
    first, second = lines(plan, Clock(90))
    assert first == "Plan for 90 s: the last 3 blocks and the head, 4 views a photo, 12 epochs, 160 px"
    assert "frozen blocks 51 s · epochs 30 s (2.5 s each) · getting ready and saving 4 s" in second


HEAD = Cost(0, 224, 0, 2, 3, (10.0, 10.0), 0.5, (20, 60))
BLOCK = Cost(1, 224, 0, 2, 3, (10.0, 10.0), 4, (8, 30))


@pytest.mark.parametrize(
    ("plan", "n_rungs", "time_s", "line"),
    [
        (Planned(HEAD, 2, 60), 2, 58, None),  # of 58 s 55 are taken
        (Planned(HEAD, 2, 60), 2, 65, "Over after about 55 of 65 s, since the last block and the head, 2 views"),
        (
            Planned(BLOCK, 2, 30),
            2,
            300,
            "Over after about 145 of 300 s, since more blocks, views, epochs or pixels are",
        ),
        (Planned(BLOCK, 2, 12), 2, 83, "Over after about 73 of 83 s, since another epoch takes 4 s"),
        (Planned(replace(BLOCK, epochs=(5, 5)), 2, 5), 1, 90, "Over after about 45 of 90 s, since it is all that was"),
    ],
)
def test_time_that_is_not_taken_has_a_reason(plan: Planned, n_rungs: int, time_s: float, line: str | None) -> None:
    rungs = ([(HEAD, 2), (BLOCK, 2)] if n_rungs == 2 else []) + ([(plan.cost, 2)] if n_rungs == 1 else [])
    clock = Clock(time_s)
    told = spare(plan, why_no_more(plan, rungs, 0.0), clock)
    assert told is None if line is None else told is not None and told.startswith(line)


def test_what_is_larger_is_told_with_the_time_that_it_would_take() -> None:
    why = why_no_more(Planned(HEAD, 1, 60), [(HEAD, 1), (HEAD, 2), (BLOCK, 2)], 9.0)
    assert why == "the head, 2 views a photo would take about 44 s"


def test_no_epoch_is_begun_that_would_be_over_too_late() -> None:
    clock = Clock(100, start_s=time.monotonic() - 90)
    assert not Timing(clock, closing_s=4).is_up([99, 10, 10, 10])
    assert Timing(clock, closing_s=4).is_up([10, 12, 10])
    assert Timing(clock, closing_s=6).is_up([10, 10, 10])


def test_an_early_end_that_was_not_expected_is_explained() -> None:
    clock = Clock(100, start_s=time.monotonic() - 50)
    timing = Timing(clock, closing_s=30, epoch_s=5)
    assert timing.why_early([1.0] * 10, 10, closed_s=8) == (
        "Over after 50 of 100 s: epochs took 10 s where 50 s were expected by what was measured, "
        "and what follows them 8 s where 30 s were"
    )
    assert timing.why_early([5.0] * 10, 10, closed_s=28) is None  # as planned, which has said why
    assert (timing.why_early([5.0] * 8, 10, closed_s=8) or "").endswith("fell no more, after 8 of 10 epochs")
    assert replace(timing, clock=Clock(100, start_s=time.monotonic() - 95)).why_early([1.0] * 10, 10, 8) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h", 3600), (" 2m5s ", 125)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@given(st.text(max_size=8))
def test_any_other_text_is_a_mistake_worth_a_word(text: str) -> None:
    try:
        assert seconds_of(text) > 0
        assert set(text.strip()[-1]) <= set("hms")
    except ConfigError as error:
        assert "10m" in str(error)


@pytest.mark.parametrize("text", ["", "10", "0s", "m", "30m1h", "-5m", "1.5h", "10 m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match="--time"):
        seconds_of(text)


def test_a_slowdown_is_seconds_for_one_of_cpu_time() -> None:
    busy = Clock(100, start_s=time.monotonic() - 30, start_cpu_s=time.process_time() - 10)
    assert busy.slowdown == pytest.approx(3, rel=0.01)
    assert Clock(100, start_s=time.monotonic() - 10, start_cpu_s=time.process_time() - 20).slowdown == 1
