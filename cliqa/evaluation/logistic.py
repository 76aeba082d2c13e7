"""The logistic mapping of predictions onto scores that IQA papers fit before PLCC and RMSE.

A fitted PLCC is an extra, never the headline: a mapping may turn an anti-correlated prediction into
a seemingly perfect one (raw -0.97 becomes +0.97). Falling mappings are therefore refused here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.special import expit

from cliqa.evaluation.functional import (
    EXTREME,
    as_pair,
    as_scores,
    extreme_exponent,
    plcc,
    why_undefined,
)

MIN_IMAGES = 5
MAX_EVALUATIONS = 20_000


def logistic(z: np.ndarray, top: float, bottom: float, middle: float, width: float) -> np.ndarray:
    """Return ``(b1 - b2) / (1 + exp(-(z - b3) / b4)) + b2`` (VQEG's form), (N,)."""
    return (top - bottom) * expit((z - middle) / width) + bottom


@dataclass(frozen=True)
class LogisticFit:
    """A fitted mapping from predictions to scores, or the reason why there is none.

    Attributes:
        parameters: The fitted values for standardised predictions and targets; None on failure.
        center: Means of the predictions and of the targets.
        scale: Their standard deviations.
        reason: Why the fit failed or must not be used; None where it is good.
    """

    parameters: tuple[float, ...] | None = None
    center: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    reason: str | None = None

    def __call__(self, prediction: npt.ArrayLike) -> np.ndarray:
        """Return predictions mapped onto the scale of the targets, (N,).

        Raises:
            ValueError: There is no fit.
        """
        if self.parameters is None:
            raise ValueError(f"no logistic fit: {self.reason}")
        z = (as_scores(prediction, "prediction") - self.center[0]) / self.scale[0]
        return logistic(z, *self.parameters) * self.scale[1] + self.center[1]


def logistic_fit(prediction: npt.ArrayLike, target: npt.ArrayLike) -> LogisticFit:
    """Fit a logistic from predictions to targets by least squares.

    Both sides are standardised first, and the start has the sign of the correlation: without
    these, the usual start fails on ordinary scales (0..1 to 1..5, or any falling relation). The fit
    is never worse than the straight line (which is the second start) by 0.01 % of the variance.
    Where it failed or falls, `LogisticFit.reason` says why.
    """
    x, y = as_pair(prediction, target)
    reason = why_undefined(x, y)
    if reason is None and x.size < MIN_IMAGES:
        reason = f"a logistic fit needs {MIN_IMAGES} images, there are {x.size}"
    elif reason is None and (extreme_exponent(x) or extreme_exponent(y)):
        reason = f"no logistic fit of values beyond {EXTREME:g} or all below {1 / EXTREME:g}"
    if reason is not None:
        return LogisticFit(reason=reason)
    center, scale = (float(x.mean()), float(y.mean())), (float(x.std()), float(y.std()))
    z, v = (x - center[0]) / scale[0], (y - center[1]) / scale[1]
    parameters = _best_parameters(z, v)
    if parameters is None:
        return LogisticFit(
            reason=f"no logistic fit as good as a line in {MAX_EVALUATIONS} evaluations"
        )
    mapped = logistic(z, *parameters)
    if np.ptp(mapped) < 1e-9:
        return LogisticFit(reason="the fitted logistic is flat: nothing to map")
    if float(np.dot(mapped - mapped.mean(), z)) < 0:
        reason = (
            f"the predictions run against the scores (raw PLCC {np.dot(z, v) / z.size:.3f}); "
            f"a fitted PLCC of {plcc(mapped, v):.3f} would hide it"
        )
    return LogisticFit(parameters, center, scale, reason)


def _best_parameters(z: np.ndarray, v: np.ndarray) -> tuple[float, ...] | None:
    """Return the parameters of the best fit on standardised data; None if all lose to the line."""
    slope = float(np.dot(z, v)) / z.size
    line_error = float(np.mean((v - slope * z) ** 2))  # 1 is the variance
    bound = line_error + 1e-4  # the logistic that is a line has infinite parameters
    reach = 3.0 * float(np.abs(z).max())  # so wide that the data see only its straight middle
    height = 2.0 * reach * slope
    from_range = [float(v.max()), float(v.min()), float(np.median(z)), -0.5 if slope < 0 else 0.5]
    for start in (from_range, [height, -height, 0.0, reach]):
        parameters = _least_squares(z, v, start)
        # An overlong walk in a flat valley is no failure; a fit worse than the straight line is.
        if np.mean((v - logistic(z, *parameters)) ** 2) <= bound:
            return parameters
    return None


def _least_squares(z: np.ndarray, v: np.ndarray, start: list[float]) -> tuple[float, ...]:
    """Return the parameters that Levenberg-Marquardt reaches from `start`."""
    with np.errstate(all="ignore"):
        found = optimize.leastsq(
            lambda parameters: np.nan_to_num(logistic(z, *parameters) - v, nan=1e9),
            start,
            maxfev=MAX_EVALUATIONS,
            full_output=True,  # else a warning goes to stderr
        )[0]
    return tuple(float(value) for value in found)
