"""Scores in a label file's units, and scores in 0..1 where higher is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scale:
    """The scale of a data set's scores.

    Attributes:
        low: The lowest possible score.
        high: The highest possible score.
        higher_is_better: The direction.
    """

    low: float
    high: float
    higher_is_better: bool = True

    def place(self, score: float) -> float:
        """Return a score of 0..1 (others are clipped) in the scale's units and direction.

        >>> Scale(0, 100).place(0.25), Scale(0, 100, higher_is_better=False).place(0.25)
        (25.0, 75.0)
        """
        clipped = np.clip(score, 0.0, 1.0)
        return float(from_unit(clipped, (self.low, self.high), self.higher_is_better))


def to_unit(
    raw: np.ndarray, score_range: tuple[float, float], higher_is_better: bool
) -> np.ndarray:
    """Return raw scores as float32 in 0..1, higher = better: (raw - low) / (high - low), or 1 - it.

    >>> to_unit(np.array([0.0, 25.0, 100.0]), (0.0, 100.0), higher_is_better=False).tolist()
    [1.0, 0.75, 0.0]
    """
    low, high = score_range
    share = (np.asarray(raw, dtype=np.float64) - low) / (high - low)
    return (share if higher_is_better else 1.0 - share).astype(np.float32)


def from_unit(
    scores: np.ndarray, score_range: tuple[float, float], higher_is_better: bool
) -> np.ndarray:
    """Return scores of 0..1 (any shape) as float64 raw scores; the inverse of `to_unit`.

    >>> from_unit(np.array([1.0, 0.75]), (0.0, 100.0), higher_is_better=False).tolist()
    [0.0, 25.0]
    """
    low, high = score_range
    share = np.asarray(scores, dtype=np.float64)
    return low + (high - low) * (share if higher_is_better else 1.0 - share)
