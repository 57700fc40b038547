"""Photos that are tied to each other, directly or through others."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def tied_together(pairs: Iterable[tuple[Name, Name]]) -> list[set[Name]]:
    """The groups that the pairs make; nobody is in two of them."""
    leader: dict[Name, Name] = {}

    def find(name: Name) -> Name:
        while (above := leader.setdefault(name, name)) != name:
            leader[name] = name = leader[above]  # halves the way for the next who asks
        return name

    for first, second in pairs:
        leader[find(first)] = find(second)
    groups: dict[Name, set[Name]] = {}
    for name in leader:
        groups.setdefault(find(name), set()).add(name)
    return list(groups.values())
