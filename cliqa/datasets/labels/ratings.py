"""What raters said of each image besides their mean: its spread, and shares of quality levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from cliqa.datasets.labels.scale import to_unit
from cliqa.utils.errors import DatasetError

if TYPE_CHECKING:
    from cliqa.datasets.base import QualityDataset

QUANTILES = 201
"""Equal parts that a normal distribution of ratings is cut into."""


def level_shares(places: np.ndarray, weights: np.ndarray, levels: int) -> np.ndarray:
    """Return the shares of evenly spaced levels 0 .. 1.

    A rating between two levels counts for both, the more the nearer it is to one: the mean is kept.

    Args:
        places: (N, V) or (V,), the ratings, 0..1.
        weights: (N, V), their shares.
        levels: K >= 2.

    Returns:
        float64 (N, K), rows with the sums of `weights`.

    >>> level_shares(np.array([0.0, 0.75]), np.array([[0.5, 0.5]]), levels=3).tolist()
    [[0.5, 0.25, 0.25]]
    """
    position = np.broadcast_to(places, weights.shape) * (levels - 1)
    lower = np.clip(np.floor(position), 0, levels - 2).astype(np.intp)
    upper_part = position - lower
    shares = np.zeros((len(weights), levels))
    rows = np.arange(len(weights))[:, None]
    np.add.at(shares, (rows, lower), weights * (1 - upper_part))
    np.add.at(shares, (rows, lower + 1), weights * upper_part)
    return shares


def normal_shares(mean: np.ndarray, std: np.ndarray, levels: int) -> np.ndarray:
    """Return the shares of levels under normal ratings, which are clipped to 0..1.

    The mean is kept, except where the clipping moves it.

    Args:
        mean: (N,), 0..1.
        std: (N,), >= 0, in the same units.
        levels: K >= 2.

    Returns:
        float64 (N, K), rows sum to 1.
    """
    steps = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)  # (Q,)
    places = np.clip(mean[:, None] + std[:, None] * steps, 0.0, 1.0)  # (N, Q)
    return level_shares(places, np.full(places.shape, 1 / QUANTILES), levels)


def rating_rows(
    data: QualityDataset, levels: int = 0, default_std: float | None = None
) -> np.ndarray:
    """Return what a data set's raters said of each image, in units of 0..1, higher = better.

    Args:
        data: The data set. Where its labels have the raters' standard deviation and not their
            ratings, these are taken as normal (`normal_shares`).
        levels: K, the quality levels; 0 for the standard deviation alone.
        default_std: The standard deviation, in 0..1, where the labels have none; None refuses such
            a data set.

    Returns:
        float32 (N, 1 + K): the standard deviation, and the shares of the levels, lowest first.

    Raises:
        DatasetError: The labels have neither a standard deviation nor ratings.
    """
    table, (low, high) = data.table, data.score_range
    mean = data.scores.astype(np.float64)
    places = None
    if table.shares is not None:
        raw = np.asarray(table.ratings)
        places = np.clip(to_unit(raw, data.score_range, data.higher_is_better), 0.0, 1.0)
    if table.std is not None:
        std = table.std / (high - low)
    elif places is not None and table.shares is not None:
        centre = table.shares @ places
        std = np.sqrt(np.maximum(table.shares @ places**2 - centre**2, 0.0))
    elif default_std is not None:
        std = np.full(len(mean), default_std)
    else:
        raise DatasetError(
            f"{data.name}: the loss reads how far raters disagreed on each image, and "
            f"{table.source} has no standard deviation and no ratings. Add a column (std_column), "
            "set cl_strategy.loss.default_std=0.1 for images without one, or use a loss of the "
            "scores alone, such as dict(type='L1Loss')."
        )
    if not levels:
        return std[:, None].astype(np.float32)
    if places is not None and table.shares is not None:
        shares = level_shares(places, table.shares, levels)
    else:
        shares = normal_shares(mean, std, levels)
    return np.concatenate([std[:, None], shares], axis=1).astype(np.float32)
