"""Photos that have something in common, and how the model does on them.

Who looks at many slices finds a bad one by chance. So each is compared with the other photos, and its p-value is
corrected for the number of slices: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
Journal of Statistics 6 (1979), 65-70.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fledged.measured import Slice
from fledged.measuring.metrics import FloatArray, IntArray
from fledged.measuring.ranking import BoolArray
from fledged.measuring.resampling import Groups, accuracy, by_group, share, totals

_MOST_VALUES = 8  # of a trait that is words; the rarer ones are one slice
_FEWEST = 10  # photos of a slice: fewer say nothing
_SIGNIFICANT = 0.05
OTHERS = "all others"

# What a photo has of a trait: a number, a word, or None where it is not known.
Values = Sequence[float | str | None]


@dataclass(frozen=True, slots=True)
class Part:
    """Photos (N,) that have something in common, and those that have the trait at all."""

    trait: str
    value: str
    is_in: BoolArray
    is_known: BoolArray


def slices(traits: Mapping[str, Values], is_right_N: BoolArray, groups: Groups) -> tuple[Slice, ...]:
    """The slices of each trait, in the order of the traits; none of a trait that all photos share."""
    parts = [part for trait, values in traits.items() for part in parts_of(trait, values)]
    if not parts:
        return ()
    resampled = _accuracies(parts, is_right_N, groups)
    raw = [_p_value(part, is_right_N, *both) for part, both in zip(parts, resampled, strict=True)]
    result = []
    for part, (inside_B, outside_B), p_value in zip(parts, resampled, corrected(raw), strict=True):
        rest = part.is_known & ~part.is_in
        here = accuracy(*_count(is_right_N[part.is_in]), inside_B, _only(groups, part.is_in))
        there = accuracy(*_count(is_right_N[rest]), outside_B, _only(groups, rest))
        is_worse = p_value < _SIGNIFICANT and here.value < there.value
        made = Slice(trait=part.trait, value=part.value, accuracy=here, rest=there, p_value=p_value, is_worse=is_worse)
        result.append(made)
    return tuple(result)


def weakest(found: Sequence[Slice], limit: int = 3) -> list[Slice]:
    """The slices that are worse than the rest beyond chance, the lowest accuracy first."""
    return sorted((part for part in found if part.is_worse), key=lambda part: part.accuracy.value)[:limit]


def parts_of(trait: str, values: Values) -> list[Part]:
    """Thirds of numbers, or each of the most frequent words; none where that leaves less than two large enough."""
    is_known = np.array([value is not None for value in values], dtype=np.bool_)
    known = [value for value in values if value is not None]
    if not known:
        return []
    if all(isinstance(value, str) for value in known):
        parts = _by_word([str(value) if value is not None else None for value in values])
    else:
        parts = _by_third(np.array([math.nan if value is None else float(value) for value in values]))
    large = [Part(trait, name, is_in, is_known) for name, is_in in parts if is_in.sum() >= _FEWEST]
    return large if len(large) > 1 else []


def corrected(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: how probable it is that the worst of so many would look so bad."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    result, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        result[i] = highest
    return result


def fewer_by_chance(n_right: int, n: int, n_right_all: int, n_all: int) -> float:
    """How probable it is that `n` photos, drawn from `n_all`, have `n_right` right ones or fewer.

    The lower tail of the hypergeometric distribution: R. A. Fisher's exact test, one-sided, 1934.
    """
    total = _log_choose(n_all, n)
    lowest = max(0, n - (n_all - n_right_all))
    terms = [
        _log_choose(n_right_all, k) + _log_choose(n_all - n_right_all, n - k) - total
        for k in range(lowest, n_right + 1)
    ]
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _p_value(part: Part, is_right_N: BoolArray, inside_B: FloatArray, outside_B: FloatArray) -> float:
    """The larger of two: one that takes photos as independent and is exact, one that draws groups and is not."""
    n_right, n = _count(is_right_N[part.is_in])
    n_right_all, n_all = _count(is_right_N[part.is_known])
    alone = fewer_by_chance(n_right, n, n_right_all, n_all)
    difference = n_right / n - (n_right_all - n_right) / (n_all - n) if n_all > n else 0.0
    known = np.isfinite(inside_B) & np.isfinite(outside_B)
    spread = float((inside_B[known] - outside_B[known]).std()) if known.any() else 0.0
    together = 0.5 * math.erfc(-difference / spread / math.sqrt(2)) if spread > 0 else alone
    return max(alone, together)


def _accuracies(parts: Sequence[Part], is_right_N: BoolArray, groups: Groups) -> list[tuple[FloatArray, FloatArray]]:
    """Accuracy in each resample (B,), of the photos of each part and of the others."""
    photos, columns, values = [], [], []
    for i, part in enumerate(parts):
        for side, chosen in enumerate((part.is_in, part.is_known & ~part.is_in)):
            where = np.flatnonzero(chosen)
            for column, value in ((4 * i + 2 * side, np.ones(len(where))), (4 * i + 2 * side + 1, is_right_N[where])):
                photos.append(where)
                columns.append(np.full(len(where), column, dtype=np.int64))
                values.append(value.astype(np.float64))
    all_photos: IntArray = np.concatenate(photos)
    of_photos = Groups(groups.of_N[all_photos], groups.n)
    sums_GK = by_group(of_photos, np.concatenate(columns), np.concatenate(values), 4 * len(parts))
    totals_BK = totals(groups, sums_GK)
    return [
        (
            share(totals_BK[:, 4 * i + 1], totals_BK[:, 4 * i]),
            share(totals_BK[:, 4 * i + 3], totals_BK[:, 4 * i + 2]),
        )
        for i in range(len(parts))
    ]


def _only(groups: Groups, chosen: BoolArray) -> Groups:
    known, of_N = np.unique(groups.of_N[chosen], return_inverse=True)
    return Groups(of_N.astype(np.int64).reshape(-1), len(known))


def _count(is_right: BoolArray) -> tuple[int, int]:
    return int(is_right.sum()), len(is_right)


def _by_word(values: Sequence[str | None]) -> list[tuple[str, BoolArray]]:
    counts = Counter(value for value in values if value is not None)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    if len(names) > _MOST_VALUES:
        names = names[: _MOST_VALUES - 1]
    parts = [(name, np.array([value == name for value in values], dtype=np.bool_)) for name in names]
    others = np.array([value is not None and value not in names for value in values], dtype=np.bool_)
    return [*parts, (OTHERS, others)] if others.any() else parts


def _by_third(values_N: FloatArray) -> list[tuple[str, BoolArray]]:
    """Low, middle and high, about as many photos each; equal numbers stay together."""
    low, high = np.nanquantile(values_N, [1 / 3, 2 / 3], method="inverted_cdf").tolist()
    bounds = [
        (f"up to {_short(low)}", values_N <= low),
        (f"{_short(low)} to {_short(high)}", (values_N > low) & (values_N <= high)),
        (f"over {_short(high)}", values_N > high),
    ]
    return [(name, is_in) for name, is_in in bounds if is_in.any()]


def _short(value: float) -> str:
    """Three digits that count, and whole numbers as they are."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
