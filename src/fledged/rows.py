"""A sequence whose items are made when they are asked for: a million rows stay columns, and become no objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

Item = TypeVar("Item")

_BLOCK = 1024  # items that are made at once by whoever goes through all of them


class Rows(Sequence[Item], Generic[Item]):
    """`length` items; `part(start, stop)` makes those of a range. An item is made anew each time."""

    def __init__(self, length: int, part: Callable[[int, int], Sequence[Item]]) -> None:
        self._length = length
        self._part = part

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | Sequence[Item]:
        if isinstance(at, slice):
            start, stop, step = at.indices(self._length)
            return self._part(start, max(start, stop)) if step == 1 else [self[i] for i in range(start, stop, step)]
        place = range(self._length)[at]  # counts from the end as well, and raises IndexError
        return self._part(place, place + 1)[0]

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, self._length, _BLOCK):
            yield from self._part(start, min(start + _BLOCK, self._length))
