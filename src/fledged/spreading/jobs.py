"""What is done to batches of photos, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
ItemIn = TypeVar("ItemIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)


class Job(Protocol[ItemIn, ResultOut]):
    """Can be pickled. What it answers for a batch depends on that batch alone, not on who runs it and when."""

    def open(self) -> Callable[[Sequence[ItemIn]], Sequence[ResultOut]]:
        """What answers a batch, a result an item. Called once a process; any number of threads may share it."""

    def enter(self) -> None:
        """Called once in each thread that will run it."""


@dataclass(frozen=True, slots=True)
class Each(Generic[Item, Result]):
    """The job that is a function of one item."""

    function: Callable[[Item], Result]

    def open(self) -> Callable[[Sequence[Item]], list[Result]]:
        """The function, applied to each."""
        return self._run

    def enter(self) -> None:
        """Nothing to do."""

    def _run(self, batch: Sequence[Item]) -> list[Result]:
        return [self.function(item) for item in batch]
