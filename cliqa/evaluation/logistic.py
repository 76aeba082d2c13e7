"""The logistic mapping of predictions onto scores that IQA papers fit before PLCC and RMSE.

A fitted PLCC is an extra, never the headline: a mapping may turn an anti-correlated prediction into
a seemingly perfect one (raw -0.97 becomes +0.97). Falling mappings are therefore refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

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
    rmse,
    why_undefined,
)

Form = Literal[4, 5]
Curve = Callable[..., np.ndarray]

MIN_IMAGES = 5
MAX_EVALUATIONS = 20_000


def four_parameters(
    z: np.ndarray, top: float, bottom: float, middle: float, width: float
) -> np.ndarray:
    """Return ``(b1 - b2) / (1 + exp(-(z - b3) / b4)) + b2`` (VQEG's form), (N,)."""
    return (top - bottom) * expit((z - middle) / width) + bottom


def five_parameters(
    z: np.ndarray, height: float, slope: float, middle: float, tilt: float, offset: float
) -> np.ndarray:
    """Return ``b1 (1/2 - 1 / (1 + exp(b2 (z - b3)))) + b4 z + b5`` (Sheikh et al. 2006), (N,)."""
    return height * (0.5 - expit(-slope * (z - middle))) + tilt * z + offset


@dataclass(frozen=True)
class LogisticFit:
    """A fitted mapping from predictions to scores, or the reason why there is none.

    Attributes:
        form: Number of parameters, 4 or 5.
        parameters: The fitted values for standardised predictions and targets; None on failure.
        center: Means of the predictions and of the targets.
        scale: Their standard deviations.
        flipped: Whether the mapping falls: a higher prediction would mean a lower score.
        reason: Why the fit failed or must not be used; None where it is good.
    """

    form: Form
    parameters: tuple[float, ...] | None = None
    center: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    flipped: bool = False
    reason: str | None = None

    def __call__(self, prediction: npt.ArrayLike) -> np.ndarray:
        """Return predictions mapped onto the scale of the targets, (N,).

        Raises:
            ValueError: There is no fit.
        """
        if self.parameters is None:
            raise ValueError(f"no logistic fit: {self.reason}")
        z = (as_scores(prediction, "prediction") - self.center[0]) / self.scale[0]
        return _CURVES[self.form](z, *self.parameters) * self.scale[1] + self.center[1]


_CURVES: dict[int, Curve] = {4: four_parameters, 5: five_parameters}


def logistic_fit(prediction: npt.ArrayLike, target: npt.ArrayLike, form: Form = 4) -> LogisticFit:
    """Fit a logistic from predictions to targets by least squares.

    Both sides are standardised first and the start knows the sign of the correlation: without
    these, the usual start fails on ordinary scales (0..1 to 1..5, or any falling relation). The fit
    is never worse than the straight line (which is the second start) by 0.01 % of the variance.

    Args:
        prediction: Predicted scores, (N,).
        target: True scores, (N,).
        form: 4 for VQEG's logistic, 5 for the logistic plus a line.

    Returns:
        The fit; where it failed or falls, `LogisticFit.reason` says why.

    Raises:
        EvaluationError: The shapes differ or a value is not finite.
        ValueError: `form` is neither 4 nor 5.
    """
    if form not in _CURVES:
        raise ValueError(f"form must be 4 or 5 parameters, got {form!r}")
    x, y = as_pair(prediction, target)
    reason = why_undefined(x, y)
    if reason is None and x.size < MIN_IMAGES:
        reason = f"a logistic fit needs {MIN_IMAGES} images, there are {x.size}"
    elif reason is None and (extreme_exponent(x) or extreme_exponent(y)):
        reason = f"no logistic fit of values beyond {EXTREME:g} or all below {1 / EXTREME:g}"
    if reason is not None:
        return LogisticFit(form, reason=reason)
    center, scale = (float(x.mean()), float(y.mean())), (float(x.std()), float(y.std()))
    z, v = (x - center[0]) / scale[0], (y - center[1]) / scale[1]
    parameters = _best_parameters(z, v, form)
    if parameters is None:
        reason = f"no logistic fit as good as a line in {MAX_EVALUATIONS} evaluations"
        return LogisticFit(form, reason=reason)
    mapped = _CURVES[form](z, *parameters)
    if np.ptp(mapped) < 1e-9:
        return LogisticFit(form, reason="the fitted logistic is flat: nothing to map")
    if float(np.dot(mapped - mapped.mean(), z)) >= 0:
        return LogisticFit(form, parameters, center, scale)
    fitted = plcc(mapped, v)
    reason = (
        f"the predictions run against the scores (raw PLCC {np.dot(z, v) / z.size:.3f}); "
        f"a fitted PLCC of {fitted:.3f} would hide it"
    )
    return LogisticFit(form, parameters, center, scale, flipped=True, reason=reason)


def _best_parameters(z: np.ndarray, v: np.ndarray, form: Form) -> tuple[float, ...] | None:
    """Return the parameters of the best fit on standardised data; None if all lose to the line."""
    slope = float(np.dot(z, v)) / z.size
    line_error = float(np.mean((v - slope * z) ** 2))  # 1 is the variance
    bound = line_error + 1e-4  # the logistic that is a line has infinite parameters
    for start in _starts(z, v, slope, form):
        parameters = _least_squares(z, v, start, form)
        # An overlong walk in a flat valley is no failure; a fit worse than the straight line is.
        if np.mean((v - _CURVES[form](z, *parameters)) ** 2) <= bound:
            return parameters
    return None


def _starts(z: np.ndarray, v: np.ndarray, slope: float, form: Form) -> Iterator[list[float]]:
    """Yield where to start: from the data's range first, then nearly as the straight line."""
    if form == 5:
        four = _best_parameters(z, v, 4)
        if four is not None:
            top, bottom, middle, width = four
            yield [top - bottom, 1 / width, middle, 0.0, (top + bottom) / 2]
        yield [0.1 * slope, 1.0, 0.0, slope, 0.0]
        return
    yield [float(v.max()), float(v.min()), float(np.median(z)), -0.5 if slope < 0 else 0.5]
    reach = 3.0 * float(np.abs(z).max())  # so wide that the data see only its straight middle
    height = 2.0 * reach * slope
    yield [height, -height, 0.0, reach]


def _least_squares(
    z: np.ndarray, v: np.ndarray, start: list[float], form: Form
) -> tuple[float, ...]:
    """Return the parameters that Levenberg-Marquardt reaches from `start`."""
    curve = _CURVES[form]
    with np.errstate(all="ignore"):
        found = optimize.leastsq(
            lambda parameters: np.nan_to_num(curve(z, *parameters) - v, nan=1e9),
            start,
            maxfev=MAX_EVALUATIONS,
            full_output=True,  # else a warning goes to stderr
        )[0]
    return tuple(float(value) for value in found)


def plcc_fit(
    prediction: npt.ArrayLike, target: npt.ArrayLike, form: Form = 4
) -> tuple[float | None, str | None]:
    """Return PLCC after the logistic mapping, and the reason where there is none.

    Args:
        prediction: Predicted scores, (N,).
        target: True scores, (N,).
        form: 4 or 5 parameters.

    Returns:
        (value in 0..1, None), or (None, reason).

    Raises:
        EvaluationError: The shapes differ or a value is not finite.
    """
    fit = logistic_fit(prediction, target, form)
    return (None, fit.reason) if fit.reason else (plcc(fit(prediction), target), None)


def rmse_fit(
    prediction: npt.ArrayLike, target: npt.ArrayLike, form: Form = 4
) -> tuple[float | None, str | None]:
    """Return RMSE after the logistic mapping, in the target's units, and the reason where none is.

    Args:
        prediction: Predicted scores on any scale, (N,).
        target: True scores, (N,).
        form: 4 or 5 parameters.

    Returns:
        (value of at least 0, None), or (None, reason).

    Raises:
        EvaluationError: The shapes differ or a value is not finite.
    """
    fit = logistic_fit(prediction, target, form)
    return (None, fit.reason) if fit.reason else (rmse(fit(prediction), target), None)
