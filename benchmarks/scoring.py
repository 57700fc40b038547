"""What a tool found, beside the truth: recall per kind, precision, false findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.planting.writing import Copy, Truth
from fledged.measuring.metrics import wilson

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of a kind were found."""

    kind: str
    found: int
    missed: int

    @property
    def n(self) -> int:
        """Planted."""
        return self.found + self.missed


@dataclass(frozen=True, slots=True)
class CopyScore:
    """How well copies were tied to their originals."""

    tallies: list[Tally]
    n_pairs: int  # reported
    false_pairs: list[Pair]  # reported, though the two show different pictures

    @property
    def recall(self) -> tuple[int, int]:
        """(found, planted)."""
        return sum(tally.found for tally in self.tallies), sum(tally.n for tally in self.tallies)

    @property
    def precision(self) -> tuple[int, int]:
        """(right, reported)."""
        return self.n_pairs - len(self.false_pairs), self.n_pairs


def score_copies(
    truth: Truth, copies: Sequence[Copy], pairs: Iterable[Pair], alike: Collection[frozenset[str]] = ()
) -> CopyScore:
    """A copy is found if the reported pairs tie it to its original, over other photos or not.

    A reported pair is false if its two photos come from different sources; `alike` names pairs of sources that were
    seen, by eye, to show one picture.
    """
    unique = sorted({(min(pair), max(pair)) for pair in pairs})
    root = _components(unique)
    wrong = [
        pair
        for pair in unique
        if len(sources := frozenset(truth.source_of.get(path, path) for path in pair)) == 2 and sources not in alike
    ]
    # A false tie must not help to find anything: only ties inside one source count.
    right = _components([pair for pair in unique if pair not in set(wrong)]) if wrong else root
    return CopyScore(_tally((c.kind, _tied(right, c)) for c in copies), len(unique), wrong)


def score_flags(
    planted: Mapping[str, str],
    flagged: Mapping[str, Collection[str]],
    path_kinds: Mapping[str, Collection[str]] | None = None,
) -> list[Tally]:
    """Planted paths (path -> kind) that carry a finding; with `path_kinds`, one of the kinds listed for theirs."""
    outcomes = []
    for path, kind in planted.items():
        kinds = set(flagged.get(path, ()))
        outcomes.append((kind, bool(kinds & set(path_kinds[kind])) if path_kinds else bool(kinds)))
    return _tally(outcomes)


def _tally(outcomes: Iterable[tuple[str, bool]]) -> list[Tally]:
    counts: Counter[tuple[str, bool]] = Counter(outcomes)
    kinds = dict.fromkeys(kind for kind, _ in counts)
    return [Tally(kind, counts[kind, True], counts[kind, False]) for kind in kinds]


def _tied(root: Mapping[str, str], copy: Copy) -> bool:
    return copy.path in root and root.get(copy.path) == root.get(copy.original)


def _components(pairs: Iterable[Pair]) -> dict[str, str]:
    """Each path's representative, by union-find."""
    parent: dict[str, str] = {}

    def find(path: str) -> str:
        parent.setdefault(path, path)
        while parent[path] != path:
            parent[path] = parent[parent[path]]
            path = parent[path]
        return path

    for first, second in pairs:
        parent[find(first)] = find(second)
    return {path: find(path) for path in list(parent)}


def share(found: int, n: int) -> str:
    """`found` of `n` with its 95% interval (Wilson)."""
    if not n:
        return ""
    figure = wilson(found, n)
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
