"""Means over replicates against scipy, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cliqa.evaluation.mean_interval import Estimate, mean_interval, median_interval


def test_equals_scipys_interval() -> None:
    values = [0.267, 0.385, 0.373, 0.31]
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert found == pytest.approx((np.mean(values), low, high), abs=1e-12)


def test_three_values_by_hand() -> None:
    # t(0.975, 2) = 4.3027, s = 1, n = 3
    assert mean_interval([1, 2, 3]) == pytest.approx(
        (2, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4
    )


def test_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.1, (2000, 3))
    covered = 0
    for draw in draws:
        _, low, high = mean_interval(draw.tolist())
        assert low is not None
        assert high is not None
        covered += low <= 0.5 <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_few_or_equal_values() -> None:
    assert mean_interval([]) == Estimate(None, None, None)
    assert mean_interval([0.5]) == Estimate(0.5, None, None)
    assert mean_interval([0.5, 0.5]) == Estimate(0.5, 0.5, 0.5)


def test_the_medians_interval_covers_as_often_as_it_says() -> None:
    for count, rank in ((6, 1), (10, 2), (20, 6)):  # of tables of the sign test
        found = median_interval(list(range(1, count + 1)))
        assert found == ((count + 1) / 2, rank, count + 1 - rank)
        assert stats.binom.cdf(rank - 1, count, 0.5) <= 0.025 < stats.binom.cdf(rank, count, 0.5)
    assert median_interval([1, 2, 3, 4, 5]) == (3, None, None)
    assert median_interval([]) == (None, None, None)
