"""The logistic mapping of predictions onto scores that IQA papers fit before PLCC and RMSE.

A fitted PLCC is an extra, never the headline: a mapping may turn an anti-correlated prediction into
a seemingly perfect one (raw -0.97 becomes +0.97). Falling mappings are therefore refused here.
"""

from __future__ import annotations

import math
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

WIDTHS = (0.01, 0.1, 0.3, 1.0, 3.0)
"""Widths that are tried first, in standard deviations of the predictions."""
PLACES = 31
"""Middles that are tried first with each of them, at quantiles of the predictions."""
TAILS = (1.0, 3.0, 10.0)
"""Widths of the exponentials that are tried first: their middle lies beyond all predictions."""
DESCENTS = 6
"""How many of these, the best ones, are improved."""
REACH = 50.0
"""A middle lies within so many widths of the predictions: beyond, the curve is an exponential."""


def logistic(z: np.ndarray, top: float, bottom: float, middle: float, width: float) -> np.ndarray:
    """Return ``(b1 - b2) / (1 + exp(-(z - b3) / b4)) + b2`` (VQEG's form), (N,)."""
    if middle < 0:  # the same from the other end: exact where the bottom lies far below all values
        return top - (top - bottom) * expit((middle - z) / width)
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

    Where the usual optimizer ends depends on its start and on the scales: the published starts
    (b1, b2 the targets' extremes and b3 the mean prediction; b4 a quarter of the predictions'
    standard deviation in pyiqa, 0.5 or 0.1 in the code of VIDEVAL and others) miss the least error
    by up to several percent, each on other data. Here both sides are standardised, the best top and
    bottom follow from middle and width in closed form (variable projection, Golub & Pereyra, 1973),
    and the search starts from a grid of these two beside the published ones: in none of 600
    generated cases it ended above one of them by more than 1e-6 of the error. The mapping goes the
    way of the correlation, and is as good as the straight line, which is its limit of large widths.
    Where there is none or it falls, `LogisticFit.reason` says why.
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
    parameters = _best_parameters(z, v, scale[0])
    mapped = logistic(z, *parameters)
    if np.ptp(mapped) < 1e-9:
        return LogisticFit(reason="the fitted logistic is flat: nothing to map")
    if float(np.dot(mapped - mapped.mean(), z)) < 0:
        reason = (
            f"the predictions run against the scores (raw PLCC {np.dot(z, v) / z.size:.3f}); "
            f"a fitted PLCC of {plcc(mapped, v):.3f} would hide it"
        )
    return LogisticFit(parameters, center, scale, reason)


def _best_parameters(z: np.ndarray, v: np.ndarray, unit: float) -> tuple[float, ...]:
    """Return the parameters of least error on standardised data.

    Args:
        z: Predictions (N,).
        v: Targets (N,).
        unit: Of the predictions, the standard deviation that they are divided by.
    """
    curve = _Curve(z, v)
    published = [curve.at(0.0, width) for width in (0.25, 0.5 / unit, 0.1 / unit)]
    line = (0.0, 10.0 * float(np.abs(z).max()))  # so wide that the data see its straight middle
    places = np.quantile(z, np.linspace(0.02, 0.98, PLACES))
    grid = [(float(middle), width) for middle in places for width in WIDTHS]
    tails = [(side * (curve.most + 9 * width), width) for side in (-1, 1) for width in TAILS]
    starts = sorted((curve.at(*start) for start in (*grid, *tails, line)), key=curve.error)
    found = [curve.descend(start) for start in (*published, *starts[:DESCENTS])]
    return curve.parameters(min(found, key=curve.error))


class _Curve:
    """The logistics over some data by two coordinates; top and bottom are the best ones.

    The coordinates are the middle in units of ``hypot(1, width)``, and the logarithm of the width.
    What a middle does depends on its distance from the predictions, whose standard deviation is 1,
    where the curve is narrow, and on that distance in widths where it is wide: a search by the
    middle alone stays on the straight line where a slight bend has less error.

    Args:
        z: Predictions (N,), standardised.
        v: Targets (N,), standardised.
    """

    def __init__(self, z: np.ndarray, v: np.ndarray) -> None:
        self.z, self.v = z, v
        self.sign = -1.0 if np.dot(z, v) < 0 else 1.0
        self.most = float(np.abs(z).max())
        self.narrow, self.wide = math.log(1e-6), math.log(1e3 * self.most)

    def at(self, middle: float, width: float) -> np.ndarray:
        """Return the coordinates of a middle and a width, (2,)."""
        return np.array([middle / math.hypot(1, width), math.log(width)])

    def residuals(self, at: np.ndarray) -> np.ndarray:
        """Return what the best curve at some coordinates leaves, (N,)."""
        shape, _, rise = self._shape(*self._inside(at))
        left: np.ndarray = self.v - rise * shape
        return left

    def slopes(self, at: np.ndarray) -> np.ndarray:
        """Return the derivatives of the residuals by the coordinates, (2, N).

        Differences of residuals would be rounding errors where the curve is nearly a line.
        """
        middle, width = self._inside(at)
        shape, _, rise = self._shape(middle, width)
        if not rise:
            return np.zeros((2, self.z.size))
        steps = (self.z - middle) / width
        steep = expit(steps) * expit(-steps)
        unit = math.hypot(1, width)
        by_coordinate = np.stack(
            [-steep * (unit / width), -steep * (steps + middle * width / unit**2)]
        )
        by_coordinate -= by_coordinate.mean(axis=1, keepdims=True)
        rises = by_coordinate @ (self.v - 2 * rise * shape) / np.dot(shape, shape)
        slopes: np.ndarray = -(rises[:, None] * shape + rise * by_coordinate)
        return slopes

    def error(self, at: np.ndarray) -> float:
        """Return the mean square of the residuals."""
        return float(np.mean(self.residuals(at) ** 2))

    def descend(self, start: np.ndarray) -> np.ndarray:
        """Return the coordinates that Levenberg-Marquardt reaches from others."""
        with np.errstate(over="ignore"):  # scipy's covariance of a flat valley, which is not used
            found: np.ndarray = optimize.leastsq(
                self.residuals,
                start,
                Dfun=self.slopes,
                col_deriv=True,
                maxfev=100,
                ftol=1e-12,  # a valley towards an exponential or a line is flat
                xtol=1e-12,
                full_output=True,  # else a warning goes to stderr
            )[0]
        return found if self.error(found) <= self.error(start) else start

    def parameters(self, at: np.ndarray) -> tuple[float, ...]:
        """Return top, bottom, middle and width."""
        middle, width = self._inside(at)
        _, level, rise = self._shape(middle, width)
        base = -rise * level  # the targets have the mean 0
        ends = (base, base - rise) if middle < 0 else (base + rise, base)
        return (*ends, middle, width)

    def _inside(self, at: np.ndarray) -> tuple[float, float]:
        """Return a middle and a width that float64 can tell apart from others."""
        place, log_width = at.tolist()  # numbers: NumPy takes longer over two than over N images
        width = math.exp(min(max(log_width, self.narrow), self.wide))
        far = self.most + REACH * width
        return min(max(place * math.hypot(1, width), -far), far), width

    def _shape(self, middle: float, width: float) -> tuple[np.ndarray, float, float]:
        """Return a curve of height 1 around its mean, (N,), that mean, and its best height."""
        flip = middle < 0
        steps = (middle - self.z if flip else self.z - middle) / width
        shape = -expit(steps) if flip else expit(steps)  # small: no digits are lost
        level = float(shape.mean())
        own = shape - level
        power = float(np.dot(own, own))
        rise = float(np.dot(own, self.v)) / power if power > 0 else 0.0
        return own, level, max(0.0, self.sign * rise) * self.sign
