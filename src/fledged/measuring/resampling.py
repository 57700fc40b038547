"""Intervals by drawing groups of alike photos anew: photos of a group are right or wrong together.

Shapes: N photos, G groups, B resamples, K columns. The percentile bootstrap over clusters: B. Efron, "Bootstrap
methods: another look at the jackknife", Annals of Statistics 7 (1979), 1-26; A. C. Davison and D. V. Hinkley,
"Bootstrap Methods and their Application", 1997, 3.8. A fixed seed makes equal answers give equal intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from fledged.measured import Figure
from fledged.measuring.metrics import FloatArray, IntArray, wilson

_SEED = 20_061
_MOST = 1000  # resamples
_FEWEST = 200
_DRAWS = 50_000_000  # in all: more groups are content with fewer resamples
_CHUNK = 4_000_000  # numbers in memory at once


@dataclass(frozen=True, slots=True)
class Groups:
    """Which photos belong together."""

    of_N: IntArray  # 0..n-1
    n: int

    @property
    def n_resamples(self) -> int:
        """As many as are worth their time."""
        return max(_FEWEST, min(_MOST, _DRAWS // max(1, self.n)))

    @property
    def are_single(self) -> bool:
        """No two photos belong together."""
        return self.n == len(self.of_N)


def groups_of(names: Sequence[str]) -> Groups:
    """Photos of the same name belong together."""
    known, of_N = np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)
    return Groups(of_N.astype(np.int64).reshape(-1), len(known))


def weights(groups: Groups, n_resamples: int) -> Iterator[FloatArray]:
    """How often each group was drawn, in parts (b, G) that are B rows together: G draws a row, with replacement."""
    random = np.random.default_rng(_SEED)
    rows = max(1, _CHUNK // groups.n)
    for start in range(0, n_resamples, rows):
        n_rows = min(rows, n_resamples - start)
        drawn = random.integers(groups.n, size=(n_rows, groups.n))
        drawn += np.arange(n_rows)[:, None] * groups.n
        counts = np.bincount(drawn.ravel(), minlength=n_rows * groups.n)
        yield counts.reshape(n_rows, groups.n).astype(np.float64)


def by_group(groups: Groups, columns: IntArray, values_N: FloatArray, n_columns: int) -> csr_array:
    """Sums (G, n_columns): each photo adds its value to its column."""
    return csr_array(coo_array((values_N, (groups.of_N, columns)), shape=(groups.n, n_columns)))


def totals(groups: Groups, sums_GK: csr_array) -> FloatArray:
    """The sums over the photos of each resample (B, K)."""
    turned = sums_GK.T.tocsr()
    return np.concatenate([(turned @ drawn.T).T for drawn in weights(groups, groups.n_resamples)])


def interval(value: float, resampled_B: FloatArray, n: int, n_groups: int, bounds: tuple[float, float]) -> Figure:
    """The middle 95% of the resampled values, widened where resampling cannot show what is not known.

    What is the same in all resamples (no photo is wrong, or there is one group only) gets the bound that Wilson's
    interval has for as many photos as there are groups; what lies between the bounds could then be anything.
    """
    resampled_B = resampled_B[np.isfinite(resampled_B)]
    low, high = np.quantile(resampled_B, [0.025, 0.975]).tolist() if len(resampled_B) else bounds
    if high - low < 1e-12 and n_groups:
        share = (value - bounds[0]) / (bounds[1] - bounds[0])
        unsure = 1 - wilson(n_groups, n_groups).low if n_groups > 1 else 1.0
        span = unsure * (bounds[1] - bounds[0])
        low = bounds[1] - span if share > 1 - 1e-9 else low if share < 1e-9 else max(bounds[0], value - span)
        high = bounds[0] + span if share < 1e-9 else high if share > 1 - 1e-9 else min(bounds[1], value + span)
    return Figure(value=value, low=min(low, value), high=max(high, value), n=n)


def accuracy(n_right: int, n: int, resampled_B: FloatArray, groups: Groups) -> Figure:
    """Wilson's interval, or that by groups where photos belong together and it makes the interval wider."""
    alone = wilson(n_right, n)
    if groups.are_single or not n:
        return alone
    together = interval(alone.value, resampled_B, n, groups.n, (0.0, 1.0))
    return alone.model_copy(update={"low": min(alone.low, together.low), "high": max(alone.high, together.high)})


def share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """part / whole, NaN where there is nothing to divide by."""
    shares: FloatArray = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return shares
