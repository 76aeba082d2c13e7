"""A mean over repetitions with its confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
"""How often an interval covers the true mean."""


class Estimate(NamedTuple):
    """A mean over replicates and its interval; None where they are not defined."""

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
