"""Measures of continual learning on a score matrix.

``R[t, k]`` is the score (SRCC, accuracy; higher = better) on data set k after experience t, NaN
where it is not defined. Column k < T is the data set of experience k; further columns are data sets
that the model never learns. T experiences, K data sets, K >= T; indices from 0, so the last
row is T - 1.

Every measure returns a `ValueOrReason`: a value, or None with the reason. A cell that a measure
needs and that is not defined makes the measure undefined; it is never left out of a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cliqa.evaluation.functional import srcc
from cliqa.utils.errors import EvaluationError

ScoreMatrix = npt.ArrayLike | Sequence[Sequence[float | None]]
"""R (T, K); a cell that is not defined is NaN or None."""


class ValueOrReason(NamedTuple):
    """A value, or None and the reason why there is none.

    Attributes:
        value: The measure.
        reason: Why there is no value.
        cell: The (t, k) whose score is not defined, where that is the reason.
    """

    value: float | None
    reason: str | None = None
    cell: tuple[int, int] | None = None


def as_matrix(scores: ScoreMatrix) -> np.ndarray:
    """Return a score matrix as float64 (T, K); None becomes NaN.

    Raises:
        EvaluationError: It is no rectangular matrix of numbers with a row and a column.
    """
    try:
        matrix = np.array(scores, dtype=np.float64)  # None -> NaN
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"the score matrix is no matrix of numbers ({error}).") from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise EvaluationError(
            f"the score matrix must have shape (T, K): a row per experience, a column per data "
            f"set; got shape {matrix.shape}."
        )
    return matrix


def _mean(matrix: np.ndarray, rows: Sequence[int], columns: Sequence[int]) -> ValueOrReason:
    """Return the mean of cells (rows[i], columns[i]), or which of them is not defined."""
    if matrix.shape[1] <= max(columns):
        return ValueOrReason(None, "there are fewer data sets than experiences")
    for t, k in zip(rows, columns, strict=True):
        if np.isnan(matrix[t, k]):
            return ValueOrReason(None, f"R[{t}, {k}] is not defined", (t, k))
    return ValueOrReason(float(np.mean(matrix[list(rows), list(columns)])))


def _change(now: ValueOrReason, before: ValueOrReason) -> ValueOrReason:
    """Return now - before, or the reason why one of them is missing."""
    if now.value is None:
        return now
    return before if before.value is None else ValueOrReason(now.value - before.value)


_ONE = ValueOrReason(None, "it needs two experiences, there is one")


def final_mean(scores: ScoreMatrix, learnt: int | None = None) -> ValueOrReason:
    """Return the mean of the last row over the learnt data sets: ``mean_k R[T-1, k]``.

    With SRCC this is mSRCC (Zhang et al., TPAMI 2023), with accuracy the average accuracy
    (Lopez-Paz & Ranzato 2017).

    Args:
        scores: The matrix (T, K).
        learnt: How many of the columns count; by default T of them, those learnt so far.
    """
    matrix = as_matrix(scores)
    last, columns = matrix.shape[0] - 1, min(matrix.shape) if learnt is None else learnt
    return _mean(matrix, [last] * columns, range(columns))


def unseen_mean(scores: ScoreMatrix, learnt: int | None = None) -> ValueOrReason:
    """Return the mean of the last row over data sets never learnt: ``mean_{k>=T} R[T-1, k]``.

    Args:
        scores: The matrix (T, K).
        learnt: How many of the first columns have been learnt; by default T.
    """
    matrix = as_matrix(scores)
    rows, columns = matrix.shape
    unseen = range(rows if learnt is None else learnt, columns)
    if not unseen:
        return ValueOrReason(None, "every data set has been learnt")
    return _mean(matrix, [rows - 1] * len(unseen), unseen)


def anytime_mean(scores: ScoreMatrix) -> ValueOrReason:
    """Return the mean over time of the mean over what was learnt: ``mean_t mean_{k<=t} R[t, k]``.

    The average anytime accuracy (Caccia et al. 2020).
    """
    matrix = as_matrix(scores)
    means = [final_mean(matrix[: t + 1]) for t in range(matrix.shape[0])]
    for mean in means:
        if mean.value is None:
            return mean
    return ValueOrReason(float(np.mean([mean.value for mean in means if mean.value is not None])))


def learning_mean(scores: ScoreMatrix) -> ValueOrReason:
    """Return the mean of the diagonal: ``mean_t R[t, t]``.

    The plasticity index mPI (Zhang et al., TPAMI 2023) with SRCC; with accuracy the learning
    accuracy (Riemer et al. 2019).
    """
    matrix = as_matrix(scores)
    return _mean(matrix, range(matrix.shape[0]), range(matrix.shape[0]))


def bwt(scores: ScoreMatrix) -> ValueOrReason:
    """Return backward transfer, ``mean_{k<T-1} (R[T-1, k] - R[k, k])``; below 0 is forgetting.

    Lopez-Paz & Ranzato (2017), equation 3.
    """
    matrix = as_matrix(scores)
    last = matrix.shape[0] - 1
    if last == 0:
        return _ONE
    first = _mean(matrix, range(last), range(last))
    return _change(_mean(matrix, [last] * last, range(last)), first)


def forgetting(scores: ScoreMatrix) -> ValueOrReason:
    """Return forgetting since the best: ``mean_{k<T-1} (max_{t<T-1} R[t, k] - R[T-1, k])``.

    Chaudhry et al. (2018). The best may come before k was learnt, where that was evaluated; a later
    gain makes the value negative.
    """
    matrix = as_matrix(scores)
    last = matrix.shape[0] - 1
    if last == 0:
        return _ONE
    learnt = [(t, k) for k in range(last) for t in range(k, last)]
    complete = _mean(matrix, [t for t, _ in learnt], [k for _, k in learnt])
    if complete.value is None:
        return complete
    best = np.nanmax(matrix[:last, :last], axis=0, keepdims=True)  # (1, T - 1)
    return _change(_mean(best, [0] * last, range(last)), _mean(matrix, [last] * last, range(last)))


def forgetting_from_first(scores: ScoreMatrix) -> ValueOrReason:
    """Return forgetting since it was learnt: ``mean_{k<T-1} (R[k, k] - R[T-1, k])``, that is -BWT.

    The value of Avalanche's forgetting metrics.
    """
    transfer = bwt(scores)
    return transfer if transfer.value is None else ValueOrReason(0.0 - transfer.value)


def fwt(scores: ScoreMatrix, untrained: Sequence[float | None] | None = None) -> ValueOrReason:
    """Return forward transfer, ``mean_{0<k<T} (R[k-1, k] - b[k])``.

    Lopez-Paz & Ranzato (2017), equation 4.

    Args:
        scores: The matrix (T, K) with the cells above its diagonal.
        untrained: Scores b of the model before any training, (K,).

    Raises:
        EvaluationError: `untrained` has not one score per data set.
    """
    matrix = as_matrix(scores)
    rows, columns = matrix.shape
    if rows == 1:
        return _ONE
    if untrained is None:
        return ValueOrReason(None, "it needs the scores of the model before any training")
    start = as_matrix([untrained])
    if start.shape[1] != columns:
        raise EvaluationError(
            f"{start.shape[1]} scores of the untrained model for {columns} data sets."
        )
    ahead = _mean(matrix, range(rows - 1), range(1, rows))
    if np.isnan(start[0, 1:rows]).any():
        return ValueOrReason(None, "a score of the untrained model is not defined")
    return _change(ahead, _mean(start, [0] * (rows - 1), range(1, rows)))


def stability(predictions: Sequence[Sequence[npt.ArrayLike]]) -> list[float | None]:
    """Return the stability index of every experience (Zhang et al., TPAMI 2023).

    ``SI_0 = 1`` and ``SI_t = mean_{k<t} SRCC(y_t(D_k), y_k(D_k))``: the agreement of the
    model after experience t with that right after experience k, on data set k, labels apart.
    ``predictions[t][k]``, (N_k,), are those of the model after experience t on data set k, for
    every k <= t. An index is None where a prediction is constant.

    Raises:
        EvaluationError: A row is too short, or two models have seen different numbers of images.
    """
    for t, row in enumerate(predictions):
        if len(row) <= t:
            raise EvaluationError(
                f"predictions after experience {t} cover {len(row)} data sets, {t + 1} are needed."
            )
    return [
        stability_index([srcc(row[k], predictions[k][k]) for k in range(t)])
        for t, row in enumerate(predictions)
    ]


def stability_index(agreement: Sequence[float | None]) -> float | None:
    """Return the index of one experience, from its agreements (t,) with all earlier ones."""
    known = [value for value in agreement if value is not None]
    mean = float(np.mean(known)) if known else 1.0
    return mean if len(known) == len(agreement) else None


def stability_mean(indices: Sequence[float | None]) -> ValueOrReason:
    """Return mSI, the mean of the stability indices, the first one's 1 included."""
    for t, value in enumerate(indices):
        if value is None:
            return ValueOrReason(None, f"the stability after experience {t} is not defined")
    if not indices:
        return ValueOrReason(None, "it needs the predictions of every experience")
    return ValueOrReason(float(np.mean([value for value in indices if value is not None])))


def plasticity_stability_mean(
    scores: ScoreMatrix, indices: Sequence[float | None]
) -> ValueOrReason:
    """Return mPSI, ``mean_t (R[t, t] + SI_t) / 2``: half plasticity (mPI), half stability (mSI).

    The plasticity-stability index of Zhang et al. (TPAMI 2023), as far as is known: their code does
    not have it, and the article's text was not at hand. `indices` (T,) are those of `stability`.
    """
    plasticity, kept = learning_mean(scores), stability_mean(indices)
    if plasticity.value is None or kept.value is None:
        return plasticity if plasticity.value is None else kept
    return ValueOrReason((plasticity.value + kept.value) / 2)


def gap_closed(value: float, naive: float, joint: float) -> ValueOrReason:
    """Return how much of the way from naive to joint training a method's final mean goes.

    ``(value - naive) / (joint - naive)``: 0 is the lower bound, 1 the upper one.
    """
    if joint <= naive:
        return ValueOrReason(None, "joint training is no better than naive fine-tuning")
    return ValueOrReason((value - naive) / (joint - naive))


def clear_measures(scores: ScoreMatrix) -> dict[str, float | None]:
    """Return the five measures of CLEAR (Lin et al. 2021), named as in Avalanche.

    Args:
        scores: R (T, T): accuracy on the test data of bucket k after training on bucket t; NaN or
            None where it was not evaluated (the streaming protocol has only what lies ahead).

    Returns:
        ``in_domain``: mean of the diagonal; ``next_domain``: of the cells just above it;
        ``accuracy``: of the diagonal and all below; ``backward_transfer``: of all below;
        ``forward_transfer``: of all above. None where there is no such cell or one is not defined.

    Raises:
        EvaluationError: The matrix is not square.

    >>> measures = clear_measures([[0.9, 0.7], [0.8, 1.0]])
    >>> round(measures["in_domain"], 2), round(measures["accuracy"], 2)
    (0.95, 0.9)
    """
    matrix = as_matrix(scores)
    if matrix.shape[0] != matrix.shape[1]:
        raise EvaluationError(
            f"CLEAR's measures need one test set per bucket: a square matrix, got {matrix.shape}."
        )
    size = matrix.shape[0]
    cells = {
        "in_domain": np.diag(matrix),
        "next_domain": np.diag(matrix, k=1),
        "accuracy": matrix[np.tril_indices(size)],
        "backward_transfer": matrix[np.tril_indices(size, k=-1)],
        "forward_transfer": matrix[np.triu_indices(size, k=1)],
    }
    return {
        name: float(values.mean()) if values.size and not np.isnan(values).any() else None
        for name, values in cells.items()
    }
