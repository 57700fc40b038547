"""What of a training fits into a given time: seconds that were measured go in, a plan comes out.

The plan climbs a ladder: a head that sees one view of each photo, a head that sees more of them, then ever more of the
last blocks, then larger photos. It takes the highest rung that can be trained for enough epochs, and as many epochs of
it as fit.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fledged.errors import ConfigError

# Of the time: what may be planned, where later measurements still correct it, and what may be taken in the end.
PLANNED_SHARE = 0.92
SETTLED_SHARE = 0.98
LAST_SHARE = 1.05
ENOUGH_SHARE = 0.9  # a plan that takes less says why

_TIME = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")


def seconds_of(text: str) -> float:
    """`90s`, `10m` or `1h30m` in seconds, above 0. Raises ConfigError for anything else."""
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total_s = hours * 3600 + minutes * 60 + seconds
    if not total_s:
        raise ConfigError(f"`--time` is {text!r}, which is no time", remedy="Write, for example, 90s, 10m or 1h30m.")
    return float(total_s)


@dataclass(frozen=True, slots=True)
class Clock:
    """A time to keep to, running since it was made."""

    time_s: float
    start_s: float = field(default_factory=time.monotonic)
    start_cpu_s: float = field(default_factory=time.process_time)

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start_s

    @property
    def slowdown(self) -> float:
        """Seconds since the start for one of CPU time: above 1 where other programs take their share."""
        return max(1.0, self.spent_s / max(time.process_time() - self.start_cpu_s, 0.1))

    def left_s(self, share: float = 1.0) -> float:
        """Seconds until this share of the time is over; below 0 when it is."""
        return self.time_s * share - self.spent_s


@dataclass(frozen=True, slots=True)
class Timing:
    """What a training keeps to."""

    clock: Clock
    closing_s: float  # from the last epoch to the saved run
    epoch_s: float = 0.0  # as it was expected to be; 0 where it was not

    def is_up(self, epochs_s: Sequence[float]) -> bool:
        """Whether another epoch, as long as the longest of the last of these, would be over too late."""
        return self.clock.left_s(LAST_SHARE) <= max(epochs_s[-3:]) + self.closing_s

    def why_early(self, epochs_s: Sequence[float], n_epochs: int, closed_s: float) -> str | None:
        """In a line, where it was over in less than nine tenths of the time, unexpectedly.

        `closed_s` is what closing took.
        """
        expected_s, taken_s = self.epoch_s * n_epochs, sum(epochs_s)
        unexpected_s = expected_s - taken_s + self.closing_s - closed_s
        if self.clock.spent_s > ENOUGH_SHARE * self.clock.time_s:
            return None
        early = f"Over after {self.clock.spent_s:.0f} of {self.clock.time_s:.0f} s"
        if len(epochs_s) < n_epochs:
            return f"{early}: the validation loss fell no more, after {len(epochs_s)} of {n_epochs} epochs"
        if unexpected_s < (1 - ENOUGH_SHARE) / 2 * self.clock.time_s:
            return None  # as planned, which has said why
        return (
            f"{early}: epochs took {taken_s:.0f} s where {expected_s:.0f} s were expected by what was measured, "
            f"and what follows them {closed_s:.0f} s where {self.closing_s:.0f} s were"
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that the training of so many last blocks takes on this machine, from now on."""

    unfreeze: int  # 0 is the head alone, -1 all blocks
    size_px: int
    first_s: float  # what leaves frozen blocks, of the photos to judge by and for a head that is fitted first
    ready_s: float  # opening the network and fitting that head, before the epochs
    closing_s: float  # after them: what the network then knows of itself, and saving
    view_s: tuple[float, ...]  # of the training photos' views 0, 1, …, each computed once; 0 where it is there
    epoch_s: float  # with its validation
    epochs: tuple[int, int]  # fewest that are worth it, most that are of use

    def seconds(self, n_views: int, n_epochs: int) -> float:
        """All together."""
        return self.first_s + self.ready_s + sum(self.view_s[:n_views]) + n_epochs * self.epoch_s + self.closing_s


@dataclass(frozen=True, slots=True)
class Planned:
    """What is trained, and for how long."""

    cost: Cost
    views: int
    epochs: int

    @property
    def seconds(self) -> float:
        """That it takes, if the costs hold."""
        return self.cost.seconds(self.views, self.epochs)


Rung = tuple[Cost, int]  # and views


def ladder(costs: Sequence[Cost], views: Sequence[int]) -> list[Rung]:
    """The rungs from the lowest to the highest: the head with ever more views, then ever more blocks.

    `costs` are of ever more blocks, and `views` grow. Blocks are trained on as many views as there may be, except where
    they are the lowest rung.
    """
    rungs: list[Rung] = []
    for cost in costs:
        is_lowest = cost is costs[0] or cost.unfreeze == 0
        rungs += [(cost, n) for n in (views if is_lowest and cost.view_s else views[-1:])]
    return rungs


def planned(rungs: Sequence[Rung], time_s: float) -> Planned | None:
    """The highest rung whose fewest epochs fit into the time, with as many epochs as fit; None where none does."""
    for cost, n_views in reversed(rungs):
        fewest, _ = cost.epochs
        if cost.seconds(n_views, fewest) <= time_s:
            return Planned(cost, n_views, epochs_in(cost, n_views, time_s))
    return None


def is_all(plan: Planned, rungs: Sequence[Rung]) -> bool:
    """Whether it is the highest rung, for as many epochs as are of use."""
    return (plan.cost, plan.views) == rungs[-1] and plan.epochs == plan.cost.epochs[1]


def epochs_in(cost: Cost, n_views: int, time_s: float) -> int:
    """How many epochs fit into the time, at most as many as are of use and at least one."""
    most = cost.epochs[1]
    n_epochs = int(min(most, max(1.0, (time_s - cost.seconds(n_views, 0)) / max(cost.epoch_s, 1e-9))))
    while n_epochs > 1 and cost.seconds(n_views, n_epochs) > time_s:  # a last bit of rounding
        n_epochs -= 1
    return n_epochs


def lines(plan: Planned, clock: Clock) -> list[str]:
    """The plan in words, with the seconds of each part."""
    cost = plan.cost
    frozen_s = cost.first_s + sum(cost.view_s[: plan.views])
    return [
        f"Plan for {clock.time_s:.0f} s: {_what(cost, plan.views)}, {plan.epochs} epochs, {cost.size_px} px",
        f"  probing {clock.spent_s:.0f} s · frozen blocks {frozen_s:.0f} s · epochs {plan.epochs * cost.epoch_s:.0f} s "
        f"({cost.epoch_s:.2g} s each) · getting ready and saving {cost.ready_s + cost.closing_s:.0f} s",
    ]


def why_no_more(plan: Planned, rungs: Sequence[Rung], spent_s: float) -> str:
    """Why nothing larger is trained, for a plan that has all epochs of use; it was made after `spent_s`."""
    fewest, most = plan.cost.epochs
    if fewest == most:
        return "it is all that was asked for"
    above = rungs[rungs.index((plan.cost, plan.views)) + 1 :]
    if not above:
        return "more blocks, views, epochs or pixels are not known to gain anything"
    (cost, n_views) = above[0]
    resized = cost.size_px != plan.cost.size_px
    what = _what(cost, n_views) + (f", {most} epochs, {cost.size_px} px," if resized else "")
    return f"{what} would take about {spent_s + cost.seconds(n_views, most if resized else cost.epochs[0]):.0f} s"


def spare(plan: Planned, why: str, clock: Clock) -> str | None:
    """In a line what is left of the time, and why; None where it is less than a tenth. `why` as `why_no_more` says."""
    over_s = clock.spent_s + plan.seconds
    if over_s > ENOUGH_SHARE * clock.time_s:
        return None
    if plan.epochs < plan.cost.epochs[1]:
        why = f"another epoch takes {plan.cost.epoch_s:.0f} s"
    return f"Over after about {over_s:.0f} of {clock.time_s:.0f} s, since {why}"


def _what(cost: Cost, n_views: int) -> str:
    """What is trained, and on how many views."""
    last = "the last block" if cost.unfreeze == 1 else f"the last {cost.unfreeze} blocks"
    what = {0: "the head", -1: "all blocks and the head"}.get(cost.unfreeze, f"{last} and the head")
    return what + (f", {n_views} view{'s' if n_views > 1 else ''} a photo" if cost.view_s else "")
