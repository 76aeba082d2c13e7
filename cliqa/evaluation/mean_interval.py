"""A mean, or a median, over repetitions with its confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
"""How often an interval covers the true mean."""


class Estimate(NamedTuple):
    """A mean (or a median) over replicates and its interval; None where they are not defined."""

    mean: float | None
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Estimate:
    """Return the mean and Student's 95 % interval, ``mean -+ t(0.975, n - 1) s / sqrt(n)``.

    Args:
        values: One per replicate, taken as independent and about normal. One value has no
            interval, none has no mean either.

    >>> [round(end, 2) for end in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.48, 4.48]
    >>> mean_interval([0.5])
    Estimate(mean=0.5, low=None, high=None)
    """
    if not values:
        return Estimate(None, None, None)
    mean = float(np.mean(values))
    if len(values) == 1:
        return Estimate(mean, None, None)
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread
    return Estimate(mean, mean - reach, mean + reach)


def median_interval(values: Sequence[float]) -> Estimate:
    """Return the median and its 95 % interval by order statistics, as an `Estimate`.

    The ends are the k-th value from below and from above, with the largest k for which the interval
    covers the median of any distribution at least as often: of 10 values the second and the ninth.

    Args:
        values: One per replicate, taken as independent. Fewer than six have no interval.

    >>> median_interval([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    Estimate(mean=0.55, low=0.2, high=0.9)
    >>> median_interval([0.5, 0.25, 1.0])
    Estimate(mean=0.5, low=None, high=None)
    """
    if not values:
        return Estimate(None, None, None)
    ordered = sorted(map(float, values))
    rank = int(stats.binom.ppf((1 - LEVEL) / 2, len(ordered), 0.5))  # that many lie outside
    middle = float(np.median(ordered))
    if rank < 1:
        return Estimate(middle, None, None)
    return Estimate(middle, ordered[rank - 1], ordered[-rank])
