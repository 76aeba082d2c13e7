"""Correlations and errors of predictions, always over a whole evaluation set.

Every measure is ``scipy.stats``' own. What a definition does not cover (a constant prediction, a
single image) is None, never 0 or NaN; what cannot be a prediction (NaN, infinity) is an error.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from cliqa.utils.errors import EvaluationError

ROUNDING = 1e-13
"""Values that spread less than this part of their size are constant (scipy's own threshold)."""

EXTREME = 1e100
"""From this size on, and below one over it, values are brought nearer to 1: see `moderate`."""


def as_scores(values: npt.ArrayLike, name: str) -> np.ndarray:
    """Return one finite float64 score per image, (N,).

    The values are a list, array or tensor (N,); a tensor may need gradients, lie on any device
    and have any float type. `name` is what they are, for the error message.

    Raises:
        EvaluationError: The values are no numbers, not one per image, or not finite.
    """
    source: Any = values
    if hasattr(source, "detach"):  # numpy refuses tensors with gradients, on a GPU, or in bfloat16
        source = source.detach().cpu().double()
    try:
        scores = np.asarray(source, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise EvaluationError(f"{name}: expected numbers, one per image ({error}).") from error
    if scores.ndim != 1:
        raise EvaluationError(
            f"{name}: expected one score per image, shape (N,), got shape {scores.shape}. "
            "Flatten a model's (N, 1) output with .flatten(), not .squeeze()."
        )
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise EvaluationError(
            f"{name}: {bad.size} of {scores.size} values are not finite; the first is number "
            f"{bad[0]} ({scores[bad[0]]}). Did the training diverge? Lower the learning rate."
        )
    return scores


def as_pair(prediction: npt.ArrayLike, target: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and targets as float64 arrays of one shape (N,).

    Raises:
        EvaluationError: As `as_scores`, or the lengths differ.
    """
    x, y = as_scores(prediction, "prediction"), as_scores(target, "target")
    if x.shape != y.shape:
        raise EvaluationError(
            f"{x.size} predictions for {y.size} targets. Every image needs exactly one of each."
        )
    return x, y


def extreme_exponent(values: np.ndarray) -> int:
    """Return the binary exponent of values whose squares or sums would leave float64, else 0.

    >>> extreme_exponent(np.array([1.0, 5.0])), extreme_exponent(np.array([0.0, 2.0**900]))
    (0, 901)
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0 or 1.0 / EXTREME < largest < EXTREME:
        return 0
    return math.frexp(largest)[1]


def moderate(values: np.ndarray) -> np.ndarray:
    """Return values (N,); extreme ones are scaled by a power of two."""
    exponent = extreme_exponent(values)
    return np.ldexp(values, -exponent) if exponent else values


def is_constant(values: np.ndarray) -> bool:
    """Return whether all values are one, up to the rounding of float64."""
    values = moderate(values)
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def why_undefined(x: np.ndarray, y: np.ndarray) -> str | None:
    """Return why the correlation of two arrays (N,) is undefined, None if it is defined."""
    if x.size < 2:
        return f"a correlation needs two images, there is {'one' if x.size else 'none'}"
    if is_constant(x):
        return "constant prediction"
    return "constant target" if is_constant(y) else None


def srcc(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float | None:
    """Return Spearman's rank correlation: Pearson's of the mid-ranks, so ties are exact.

    >>> srcc([0.1, 0.2, 0.3], [1, 2, 9])
    1.0
    >>> srcc([0.5, 0.5, 0.5], [1, 2, 9]) is None
    True
    """
    x, y = as_pair(prediction, target)
    return None if why_undefined(x, y) else float(stats.spearmanr(x, y).statistic)


def plcc(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float | None:
    """Return Pearson's linear correlation of the raw predictions, without any fit.

    >>> round(plcc([1, 2, 3], [30, 20, 10]), 9)
    -1.0
    """
    x, y = as_pair(prediction, target)
    if why_undefined(x, y):
        return None
    with warnings.catch_warnings():  # `is_constant` has decided; the quality's report warns
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return float(stats.pearsonr(moderate(x), moderate(y)).statistic)


def krcc(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float | None:
    """Return Kendall's tau-b, which corrects for ties on both sides.

    >>> round(krcc([1, 2, 3], [1, 3, 2]), 4)
    0.3333
    """
    x, y = as_pair(prediction, target)
    if why_undefined(x, y):
        return None
    # The p-value is not used; the asymptotic one spares the exact one's cost. Of two images it
    # divides by zero.
    method = "asymptotic" if x.size > 2 else "exact"
    return float(stats.kendalltau(x, y, method=method).statistic)


def rmse(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float | None:
    """Return the root of the mean squared error, in the units of the target.

    It is None without images, and where float64 cannot hold it.

    >>> rmse([0, 0], [3, 3])
    3.0
    """
    x, y = as_pair(prediction, target)
    if x.size == 0:
        return None
    with np.errstate(over="ignore"):
        error = x - y
    largest = np.abs(error).max()  # taken out, so that squares cannot overflow
    if not math.isfinite(largest):
        return None
    return float(largest * np.sqrt(np.mean((error / largest) ** 2))) if largest > 0 else 0.0
