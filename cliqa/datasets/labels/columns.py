"""Columns of a table: arrays, tuples, or None for one that is missing; and counts of votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cliqa.utils.errors import DatasetError


def picked_entries(column: Any, indices: list[int]) -> Any:  # noqa: ANN401
    """Return some entries of a column, an array or a tuple; None of one that is missing."""
    if column is None:
        return None
    if isinstance(column, np.ndarray):
        return column[np.asarray(indices, dtype=np.intp)]
    return tuple(column[index] for index in indices)


def joined_columns(columns: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return the columns of several tables as one; None where one lacks it."""
    if any(column is None for column in columns):
        return None
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(columns)
    return tuple(entry for column in columns for entry in column)


def shares_of_votes(counts: np.ndarray, where: Callable[[int], str]) -> np.ndarray:
    """Return the shares (N, V) of an image's votes that each of V ratings got.

    Args:
        counts: (N, V), the votes, or their shares.
        where: Returns the file and the row of an image, for the message.

    Raises:
        DatasetError: A count is negative or no finite number, or an image has no vote.
    """
    totals = counts.sum(axis=1)
    bad = np.flatnonzero(~((counts >= 0.0).all(axis=1) & (totals > 0.0) & np.isfinite(totals)))
    if bad.size:
        shown = " ".join(f"{count:g}" for count in counts[bad[0]])
        raise DatasetError(
            f"{where(int(bad[0]))}: the counts of its votes are {shown}. They must be at least 0, "
            "and not all 0."
        )
    shares: np.ndarray = counts / totals[:, None]
    return shares
