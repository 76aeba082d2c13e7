"""All measures of one model on one data set, with their intervals and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cliqa.evaluation.bootstrap import MEASURES, MIN_IMAGES, Interval, bootstrap_intervals
from cliqa.evaluation.functional import (
    as_pair,
    krcc,
    moderate,
    plcc,
    rmse,
    srcc,
    why_undefined,
)
from cliqa.evaluation.logistic import logistic_fit
from cliqa.utils.errors import EvaluationError

NAMES = ("srcc", "plcc", "plcc_fit", "krcc", "rmse", "rmse_fit")
"""The measures of a report."""

TIED_PREDICTIONS = 0.05
"""From this share of tied predictions on, a warning is given: low precision or saturation."""

NARROW_SPREAD = 1e-6
"""Predictions whose spread is a smaller share of their size are float32 noise."""


@dataclass(frozen=True)
class QualityReport:
    """Measures of predicted scores; None where one is not defined.

    Attributes:
        srcc: Spearman's rank correlation, -1..1.
        plcc: Pearson's correlation of the raw predictions, -1..1.
        plcc_fit: Pearson's correlation after a rising 4-parameter logistic, 0..1.
        krcc: Kendall's tau-b, -1..1.
        rmse: Root mean squared error, in the units of the targets.
        rmse_fit: The same after the logistic.
        intervals: 95 % bootstrap intervals of ``srcc``, ``plcc`` and ``rmse``.
        n: Number of images.
        n_ties: Images whose prediction or target equals that of another image.
        warnings: What a reader must know, and the reason for every None.
    """

    srcc: float | None
    plcc: float | None
    plcc_fit: float | None
    krcc: float | None
    rmse: float | None
    rmse_fit: float | None
    intervals: dict[str, Interval | None]
    n: int
    n_ties: int
    warnings: tuple[str, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """Return the report in JSON's own types: a row of ``metrics.jsonl``."""
        return {
            **{name: getattr(self, name) for name in NAMES},
            "interval": {
                name: None if interval is None else list(interval)
                for name, interval in self.intervals.items()
            },
            "n": self.n,
            "n_ties": self.n_ties,
            "warnings": list(self.warnings),
        }


def quality_metrics(
    prediction: npt.ArrayLike, target: npt.ArrayLike, *, bootstrap: int = 1000, seed: int = 0
) -> QualityReport:
    """Compute all measures of predicted scores (N,) over one whole evaluation set; higher = better.

    A measure that is not defined is None and has its reason in the warnings. `bootstrap` is the
    number of resamples for the intervals; 0 for none.

    Raises:
        EvaluationError: The shapes differ, a value is not finite, or `bootstrap` is negative.

    >>> report = quality_metrics([0.1, 0.4, 0.3, 0.9, 0.8], [1, 2, 3, 4, 5], bootstrap=0)
    >>> round(report.srcc, 3), report.n, report.n_ties
    (0.8, 5, 0)
    """
    if bootstrap < 0:
        raise EvaluationError(f"bootstrap must be 0 (no interval) or more, got {bootstrap}.")
    x, y = as_pair(prediction, target)
    warnings: list[str] = []
    reason = why_undefined(x, y)
    if reason:
        warnings.append(reason)
    else:
        warnings += _caveats(x)
    fit = logistic_fit(x, y)
    if fit.reason and fit.reason != reason:
        warnings.append(fit.reason)
    error = rmse(x, y)
    if error is None and x.size:
        warnings.append("the error is beyond the range of float64")
    intervals: dict[str, Interval | None] = dict.fromkeys(MEASURES)
    if bootstrap and x.size < MIN_IMAGES:
        warnings.append(f"no interval below {MIN_IMAGES} images (there are {x.size})")
    elif bootstrap:
        intervals = bootstrap_intervals(x, y, resamples=bootstrap, seed=seed)
    return QualityReport(
        srcc=srcc(x, y),
        plcc=plcc(x, y),
        plcc_fit=None if fit.reason else plcc(fit(x), y),
        krcc=krcc(x, y),
        rmse=error,
        rmse_fit=None if fit.reason else rmse(fit(x), y),
        intervals=intervals,
        n=int(x.size),
        n_ties=int(np.sum(_tied(x) | _tied(y))),
        warnings=tuple(warnings),
    )


def _tied(values: np.ndarray) -> np.ndarray:
    """Return which values (N,) occur more than once, as booleans (N,)."""
    _, level, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[level] > 1


def _caveats(x: np.ndarray) -> list[str]:
    """Return caveats about the ranks of predictions (N,) that are not constant."""
    found = []
    tied = int(np.sum(_tied(x)))
    if tied > TIED_PREDICTIONS * x.size:
        found.append(f"{tied} of {x.size} predictions are tied: low precision or saturation?")
    x = moderate(x)
    if np.ptp(x) < NARROW_SPREAD * np.abs(x).max():
        found.append("the predictions differ by rounding only: their ranks are noise")
    return found


def score_measures(
    prediction: np.ndarray, target: np.ndarray, *, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Return the measures of one data set as plain types; see `quality_metrics`.

    If a diverged model predicts values that are not finite, every measure is None and the warnings
    give the reason.
    """
    try:
        return quality_metrics(prediction, target, bootstrap=bootstrap, seed=seed).to_row()
    except EvaluationError as error:
        if np.isfinite(prediction).all():
            raise
        nothing = dict.fromkeys(NAMES)
        return {**nothing, "interval": {}, "n": len(target), "warnings": [str(error)]}
