"""Columns of a table: arrays, tuples, or None for one that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


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
