"""Plans keep to the time if the costs hold, and more time never makes a smaller plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.errors import ConfigError
from fledged.training.budget import Clock, Cost, Planned, epochs_in, ladder, lines, planned, seconds_of

SECONDS = st.floats(0, 1e4, allow_nan=False)


@st.composite
def rungs(draw: st.DrawFn) -> list[tuple[Cost, int]]:
    costs = [
        Cost(
            unfreeze,
            224,
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
    head, one, three = (Cost(n, 224, 0, 0, (1.0,) * 4, 1, (1, 2)) for n in (0, 1, 3))
    climbed = [(cost.unfreeze, views) for cost, views in ladder([head, one, three], (1, 2, 4))]
    assert climbed == [(0, 1), (0, 2), (0, 4), (1, 4), (3, 4)]
    assert [views for _, views in ladder([three], (1, 2, 4))] == [1, 2, 4]  # where blocks are asked for
    assert [views for _, views in ladder([Cost(-1, 224, 0, 0, (), 1, (1, 2))], (1, 2, 4))] == [4]


def test_there_is_always_an_epoch() -> None:
    assert epochs_in(Cost(0, 224, 4, 6, (5,), 1, (20, 60)), 1, 3) == 1


def test_the_plan_is_told_with_the_seconds_of_its_parts() -> None:
    plan = Planned(Cost(3, 160, 5, 4, (10, 11, 12, 13), 2.5, (8, 30)), 4, 12)
    first, second = lines(plan, Clock(90))
    assert first == "Plan for 90 s: the last 3 blocks and the head, 4 views a photo, 12 epochs, 160 px"
    assert "frozen blocks 51 s · epochs 30 s (2.5 s each) · getting ready and saving 4 s" in second


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
