"""Recall of a retrieval: how many queries find something relevant among their first answers.

Legend: Q queries, G items of the gallery.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cliqa.utils.errors import EvaluationError


def ranks(similarity: npt.ArrayLike, relevant: npt.ArrayLike) -> np.ndarray:
    """Return the rank of the best relevant item of each query, (Q,), from 1.

    Irrelevant items that are as similar come first, so that a model that tells nothing apart finds
    nothing.

    Args:
        similarity: (Q, G), higher = more similar.
        relevant: (Q, G), whether an item is an answer to a query.

    Raises:
        EvaluationError: The shapes differ, a similarity is not finite, or a query has no answer.

    >>> ranks([[0.9, 0.2, 0.5], [0.1, 0.3, 0.3]], [[0, 0, 1], [0, 1, 0]]).tolist()
    [2, 2]
    """
    values = np.asarray(similarity, dtype=np.float64)
    answers = np.asarray(relevant, dtype=bool)
    if values.ndim != 2 or values.shape != answers.shape or not values.size:
        raise EvaluationError(
            f"similarity {values.shape} and relevant {answers.shape} must have one shape: "
            "(queries, items)."
        )
    if not np.isfinite(values).all():
        raise EvaluationError("similarity: a value is not finite. Did the training diverge?")
    without = np.flatnonzero(~answers.any(axis=1))
    if without.size:
        raise EvaluationError(f"query number {without[0]} has no relevant item.")
    best = np.where(answers, values, -np.inf).max(axis=1, keepdims=True)  # (Q, 1)
    found: np.ndarray = 1 + ((values >= best) & ~answers).sum(axis=1)
    return found


def recall_at_k(similarity: npt.ArrayLike, relevant: npt.ArrayLike, k: int) -> float:
    """Return the share of queries with a relevant item among the k most similar, 0..1.

    The measure of cross-modal retrieval (Karpathy & Fei-Fei, CVPR 2015).

    Args:
        similarity: As `ranks`.
        relevant: As `ranks`.
        k: At least 1.

    Raises:
        EvaluationError: As `ranks`, or k is below 1.

    >>> recall_at_k([[0.9, 0.2, 0.5], [0.1, 0.8, 0.3]], [[0, 0, 1], [0, 1, 0]], k=1)
    0.5
    """
    if k < 1:
        raise EvaluationError(f"recall: k must be at least 1, got {k}.")
    return float((ranks(similarity, relevant) <= k).mean())


def chance_at_k(relevant: npt.ArrayLike, k: int) -> float:
    """Return the recall that a random order of the items has on average, 0..1.

    Args:
        relevant: As `ranks`.
        k: At least 1.

    >>> round(chance_at_k([[1, 0, 0, 0], [1, 1, 0, 0]], k=2), 4)  # 1/2 and 5/6
    0.6667
    """
    answers = np.asarray(relevant, dtype=bool)
    items = answers.shape[1]
    wrong = items - answers.sum(axis=1)  # (Q,)
    missed = np.ones(len(answers))
    for taken in range(min(k, items)):
        missed *= np.clip(wrong - taken, 0, None) / (items - taken)
    return float((1 - missed).mean())
