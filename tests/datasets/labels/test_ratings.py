"""What raters said of each image: its spread, and shares of quality levels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cliqa.datasets.labels.ratings import level_shares, normal_shares, rating_rows
from cliqa.datasets.labels.scale import to_unit
from cliqa.datasets.labels.table import ScoreTable, join_tables
from cliqa.utils.errors import DatasetError


def data(
    raw: list[float], better: bool = True, limits: tuple[float, float] = (1.0, 5.0), **columns: Any
) -> Any:
    """Return as much of a data set as is read."""
    names = tuple(f"{k}.png" for k in range(len(raw)))
    rows = tuple(range(1, len(raw) + 1))
    table = ScoreTable(names, np.array(raw), rows, Path("labels.csv"), **columns)
    scores = to_unit(table.raw, limits, better)
    return SimpleNamespace(
        name="mine", table=table, scores=scores, score_range=limits, higher_is_better=better
    )


SHARES = np.array([[0.1, 0.2, 0.3, 0.4, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
RATINGS = (1.0, 2.0, 3.0, 4.0, 5.0)


def test_ratings_that_are_the_levels_stay_as_they_are() -> None:
    found = rating_rows(data([3.0, 5.0], shares=SHARES, ratings=RATINGS), levels=5)
    assert found.dtype == np.float32
    assert found[:, 1:] == pytest.approx(SHARES)
    ratings = np.repeat([0.0, 0.25, 0.5, 0.75], [1, 2, 3, 4])
    assert found[:, 0] == pytest.approx([ratings.std(), 0.0])


def test_the_lowest_level_is_the_worst_whatever_the_direction() -> None:
    worse = rating_rows(data([3.0, 5.0], better=False, shares=SHARES, ratings=RATINGS), levels=5)
    assert worse[:, 1:] == pytest.approx(SHARES[:, ::-1])


@pytest.mark.parametrize("levels", [2, 3, 5, 7, 10, 11])
def test_other_levels_keep_the_mean(levels: int) -> None:
    places = np.linspace(0, 1, 5)
    found = level_shares(places, SHARES, levels)
    assert found.sum(1) == pytest.approx([1, 1])
    assert (found >= 0).all()
    assert found @ np.linspace(0, 1, levels) == pytest.approx(SHARES @ places)


def test_a_rating_counts_for_its_two_neighbours() -> None:
    found = level_shares(np.array([[0.6]]), np.array([[1.0]]), 3)
    assert found == pytest.approx(np.array([[0.0, 0.8, 0.2]]))


def test_normal_ratings_have_the_normal_s_mean_and_spread() -> None:
    mean, std = np.array([0.5, 0.3, 0.52]), np.array([0.15, 0.05, 0.0])
    found = normal_shares(mean, std, 41)
    levels = np.linspace(0, 1, 41)
    assert found @ levels == pytest.approx(mean, abs=1e-3)
    spread = np.sqrt(found @ levels**2 - (found @ levels) ** 2)
    assert spread[:2] == pytest.approx(std[:2], rel=0.05)
    middle = stats.norm(0.5, 0.15)
    assert found[0, 20] == pytest.approx(middle.pdf(0.5) / 40, rel=0.05)
    assert normal_shares(np.array([0.0]), np.array([0.5]), 5).sum() == pytest.approx(1.0)


def test_a_standard_deviation_is_in_units_of_the_score_and_stands_for_ratings() -> None:
    found = rating_rows(data([3.0, 4.0], std=np.array([0.4, 0.8])), levels=5)
    assert found[:, 0] == pytest.approx([0.1, 0.2])
    assert found[:, 1:] @ np.linspace(0, 1, 5) == pytest.approx([0.5, 0.75], abs=0.02)
    assert rating_rows(data([3.0, 4.0], std=np.array([0.4, 0.8]))).shape == (2, 1)


def test_labels_without_a_spread_are_refused_or_given_one() -> None:
    with pytest.raises(DatasetError, match=r"mine: the loss reads.*labels\.csv has no standard"):
        rating_rows(data([3.0]), levels=5)
    found = rating_rows(data([3.0]), levels=3, default_std=0.05)
    assert found[0, 0] == pytest.approx(0.05)
    assert found[0, 2] > 0.8


def test_tables_keep_shares_where_all_have_the_same_ratings() -> None:
    one = data([3.0, 5.0], shares=SHARES, ratings=RATINGS).table
    both = join_tables([one, one.take([1])])
    assert both.shares is not None
    assert both.shares.tolist() == [*SHARES.tolist(), SHARES[1].tolist()]
    assert both.ratings == RATINGS
    other = data([3.0, 5.0], shares=SHARES[:, :2], ratings=(1.0, 2.0)).table
    assert join_tables([one, other]).shares is None
    assert join_tables([one, data([1.0]).table]).ratings == ()
