"""Shares of photos, and how sure they are: 95% intervals without any library, so that the base install has them."""

from __future__ import annotations

import math

from fledged.measured import Figure

# The 97.5% quantile of the standard normal distribution.
_Z_95 = 1.959963984540054


def wilson(successes: int, n: int) -> Figure:
    """The share of successes with its 95% interval; of no cases at all it says 0, somewhere from 0 to 1.

    The score interval without continuity correction: E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference", JASA 22 (1927), 209-212. It stays inside 0..1 and holds near 0, near 1 and for small n,
    where the textbook's normal approximation does not (Brown, Cai and DasGupta, Statistical Science 16, 2001, 101-133).
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return Figure(value=0.0, low=0.0, high=1.0, n=0)
    share = successes / n
    z2_n = _Z_95**2 / n
    centre = (share + z2_n / 2) / (1 + z2_n)
    half = _Z_95 / (1 + z2_n) * math.sqrt(share * (1 - share) / n + z2_n / (4 * n))
    # At the ends the bound is exactly 0 or 1; rounding would leave it a hair beside.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Figure(value=share, low=min(low, share), high=max(high, share), n=n)


def paired_difference(only_first: int, only_second: int, n: int) -> Figure:
    """The first model's accuracy less the second's on the same n photos; -1..1.

    `only_first` photos are right with the first alone. The interval adds half a photo to each of the four cells, so
    that it is not empty where the two never differ: A. Agresti and Y. Min, "Simple improved confidence intervals for
    comparing matched proportions", Statistics in Medicine 24 (2005), 729-740.
    """
    if only_first < 0 or only_second < 0 or only_first + only_second > n:
        raise ValueError(f"{only_first} and {only_second} of {n}")
    if n == 0:
        return Figure(value=0.0, low=-1.0, high=1.0, n=0)
    value, centre = (only_first - only_second) / n, (only_first - only_second) / (n + 2)
    spread = math.sqrt(only_first + only_second + 1 - (only_first - only_second) ** 2 / (n + 2)) / (n + 2)
    low, high = max(-1.0, centre - _Z_95 * spread), min(1.0, centre + _Z_95 * spread)
    return Figure(value=value, low=min(low, value), high=max(high, value), n=n)
