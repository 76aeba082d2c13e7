"""Ridge regression from sums: the solution, and the choice of its strength.

Legend: p features z, K outputs y, weights w of the samples with the sum W.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cliqa.models.heads.ridge import RidgeHead
from cliqa.training.supervised.ridge_sums import SetSums, StreamSums, total_of
from cliqa.utils.errors import ModelError
from cliqa.utils.seed import generator

DECADES = range(-5, 3)
"""The strengths that are tried first are these powers of 10."""

PROBES = 64
"""Random vectors that estimate a trace: of 1,000 degrees of freedom about 6 are wrong."""

LEFT = 1e-2
"""Generalised cross-validation is not defined where the fit uses all but this share of the data."""

CAUTION = 1.4
"""Degrees of freedom count so often (Kim & Gu, 2004, section 4): where there are as many features
as samples, or samples that resemble each other, plain cross-validation comes near to interpolation.
"""

CONSTANT = 1e-12
"""A variance below this share of the mean square is float32's rounding: the feature is constant."""

ALIGN = (None, "offset", "affine")
CHOSEN = ("gcv", "validation")
"""How a strength is chosen."""


@dataclass(frozen=True)
class Solution:
    """A ridge regression: y = ((z - mean) * inverse_std) weight + bias.

    Attributes:
        mean: (p,).
        inverse_std: (p,), 0 for constant features.
        weight: (p, K).
        bias: (K,).
        strength: What it was solved with.
    """

    mean: Tensor
    inverse_std: Tensor
    weight: Tensor
    bias: Tensor
    strength: float

    def predict(self, features: Tensor) -> Tensor:
        """Return outputs (N, K) for features (N, p)."""
        return ((features - self.mean) * self.inverse_std) @ self.weight + self.bias


@dataclass(frozen=True)
class Equations:
    """The normal equations over standardised features and centred targets.

    Attributes:
        gram: (p, p), the weighted sum of z z^T.
        cross: (p, K), that of z y.
        power: Sum over the outputs of that of y^2.
        weight: W.
    """

    gram: Tensor
    cross: Tensor
    power: Tensor
    weight: Tensor

    def scale(self, inverse_std: Tensor) -> None:
        """Divide the features by their standard deviations, in place."""
        self.gram.mul_(inverse_std).mul_(inverse_std[:, None])
        self.cross.mul_(inverse_std[:, None])

    def factor(self, strength: float) -> Tensor | None:
        """Return the Cholesky factor of gram + strength W; None if float64 has none."""
        shifted = self.gram.clone()
        shifted.diagonal().add_(strength * self.weight)
        found, info = torch.linalg.cholesky_ex(shifted)
        return None if int(info) else found

    def solution(self, strength: float) -> Tensor | None:
        """Return the weights (p, K) for a strength; None if float64 has none."""
        factor = self.factor(strength)
        return None if factor is None else torch.cholesky_solve(self.cross, factor)

    def error(self, weight: Tensor) -> float:
        """Return the sum of squared errors of a solution (p, K)."""
        gain = 2 * self.cross - self.gram @ weight
        return float(self.power - (gain * weight).sum())


def solve(
    sums: StreamSums,
    strength: float | str,
    align: str | None = None,
    held: StreamSums | None = None,
) -> Solution:
    """Return the ridge regression over all samples in the sums.

    It minimises, over standardised features z and with an intercept that is not penalised,
    sum_i w_i |y_i - z_i V - b|^2 + strength W |V|^2 (Hoerl & Kennard, 1970).

    With `align` every set has an intercept of its own ("offset"), or its targets are also divided
    by their standard deviation ("affine"): differences between the scales of sets need not be
    explained by features then. A prediction does not know the set of its image; it is on the
    mean scale, with the means of the sets' intercepts and slopes, weighted as the samples
    are. It is an affine function of that on any set's own scale, so correlations within a set are
    the same.

    Args:
        sums: Of the samples to learn from.
        strength: Above 0; ``"gcv"`` for generalised cross-validation (Golub, Heath & Wahba, 1979);
            ``"validation"`` for the least squared error on `held`.
        align: None, ``"offset"`` or ``"affine"``.
        held: The sums of validation samples of the same sets.

    Raises:
        ModelError: The equations have no solution in float64.
    """
    total = total_of(sums.ordered())
    mean, level = total.z / total.weight, total.y / total.weight
    parts = _parts(sums, align, slopes_of(sums, align))
    equations = _equations(sums, parts)
    variance = equations.gram.diagonal() / total.weight
    constant = variance <= CONSTANT * (mean.square() + variance)
    inverse_std = torch.where(constant, 0.0, variance.clamp(min=1e-300).rsqrt())
    equations.scale(inverse_std)
    if strength == "gcv":
        used = _least(lambda value: _gcv(equations, value, int(total.count), len(parts)))
    elif strength == "validation" and held is not None:
        tested = _equations(held, _held_parts(held, align, sums, (mean, level)))
        tested.scale(inverse_std)
        used = _least(lambda value: _held_error(equations, tested, value))
    else:
        used = float(strength)
    weight = equations.solution(used)
    if weight is None:
        raise ModelError(
            f"StreamingRidge: with strength={used:g} the equations over {len(mean)} features have "
            "no solution in float64. Raise cl_strategy.strength."
        )
    slope, bias = _mean_scale(parts, mean, inverse_std, weight)
    return Solution(mean, inverse_std, weight * slope, bias, used)


def fit_head(
    head: RidgeHead, sums: StreamSums, held: StreamSums, strength: float | str, align: str | None
) -> float:
    """Give a head the solution of some sums, and return its strength; see `solve`.

    Args:
        head: The head.
        sums: Of the samples to learn from.
        held: Of validation samples; may be empty.
        strength: See `solve`.
        align: See `solve`.
    """
    found = solve(sums, strength, align, held if held.sets else None)
    total = total_of(sums.ordered()).y
    seen = torch.ones_like(total) if head.num_classes is None else total
    head.assign(found.mean, found.inverse_std, found.weight, found.bias, seen > 0)
    return found.strength


@dataclass(frozen=True)
class _Part:
    """Samples with an intercept of their own, and what is subtracted from and divides them."""

    sums: SetSums
    mean: Tensor  # (p,)
    level: Tensor  # (K,)
    slope: Tensor  # (K,)


def slopes_of(sums: StreamSums, align: str | None) -> dict[str, Tensor]:
    """Return what the targets of every set are divided by, (K,): 1, or their deviation."""
    return {name: _slope(one, align) for name, one in sums.sets.items()}


def _slope(one: SetSums, align: str | None) -> Tensor:
    """Return the slope (K,) of a set; 1 where its targets are all alike."""
    if align != "affine":
        return torch.ones_like(one.y)
    variance = one.yy / one.weight - (one.y / one.weight).square()
    return torch.where(variance > CONSTANT, variance.clamp(min=CONSTANT).sqrt(), 1.0)


def _parts(sums: StreamSums, align: str | None, slopes: dict[str, Tensor]) -> list[_Part]:
    """Return every set around its own means with `align`, else all samples around theirs."""
    if not align:
        total = total_of(sums.ordered())
        one = torch.ones_like(total.y)
        return [_Part(total, total.z / total.weight, total.y / total.weight, one)]
    found = [(name, sums.sets[name]) for name in sorted(sums.sets)]
    return [_Part(s, s.z / s.weight, s.y / s.weight, slopes[name]) for name, s in found]


def _held_parts(
    held: StreamSums, align: str | None, sums: StreamSums, centre: tuple[Tensor, Tensor]
) -> list[_Part]:
    """Return validation samples around the training samples' means; with `align` their own.

    An intercept of a set does not change correlations within it, so it is not part of the error.
    """
    if align:
        return _parts(held, align, slopes_of(sums, align))
    total = total_of(held.ordered())
    return [_Part(total, *centre, torch.ones_like(total.y))]


def _equations(sums: StreamSums, parts: Sequence[_Part]) -> Equations:
    """Return the equations over features and targets minus what is to be subtracted."""
    gram = sums.total_products()
    cross, power = torch.zeros_like(parts[0].sums.zy), torch.zeros_like(parts[0].sums.yy)
    for part in parts:
        one, mean, level = part.sums, part.mean, part.level
        gram.addr_(one.z, mean, alpha=-1).addr_(mean, one.z - one.weight * mean, alpha=-1)
        products = one.zy - torch.outer(one.z, level)
        cross += (products - torch.outer(mean, one.y - one.weight * level)) / part.slope
        squares = one.yy - 2 * level * one.y + one.weight * level.square()
        power += squares / part.slope.square()
    return Equations(gram, cross, power.sum(), total_of(part.sums for part in parts).weight)


def _mean_scale(
    parts: Sequence[_Part], mean: Tensor, inverse_std: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean slope (K,) and the mean intercept (K,) at the common mean of the features."""
    whole = total_of(part.sums for part in parts).weight
    shares = [part.sums.weight / whole for part in parts]
    slope, bias = torch.zeros_like(parts[0].level), torch.zeros_like(parts[0].level)
    for part, share in zip(parts, shares, strict=True):
        away = ((part.mean - mean) * inverse_std) @ weight
        slope += share * part.slope
        bias += share * (part.level - part.slope * away)
    return slope, bias


def _least(criterion: Callable[[float], float]) -> float:
    """Return the strength with the least value, among decades and half decades beside the best."""
    found = {10.0**decade: criterion(10.0**decade) for decade in DECADES}
    best = min(found, key=lambda strength: found[strength])
    for near in (best * 10**0.5, best / 10**0.5):
        found[near] = criterion(near)
    return min(found, key=lambda strength: found[strength])


def _gcv(equations: Equations, strength: float, count: int, means: int) -> float:
    """Return the generalised cross-validation error; infinite where nothing is left to judge by.

    The trace of the hat matrix is estimated by random signs (Girard, 1989; Hutchinson, 1990), the
    same in every call: an eigendecomposition takes twenty times as long.
    """
    factor = equations.factor(strength)
    if factor is None:
        return math.inf
    weight = torch.cholesky_solve(equations.cross, factor)
    size = len(factor)
    signs = torch.randint(0, 2, (size, PROBES), generator=generator(0, "gcv")).double() * 2 - 1
    inner = torch.linalg.solve_triangular(factor, signs.to(factor.device), upper=False)
    trace = float(inner.square().sum()) / PROBES
    freedom = size - strength * float(equations.weight) * trace
    left = 1 - CAUTION * (freedom + means) / count
    return equations.error(weight) / left**2 if left > LEFT else math.inf


def _held_error(equations: Equations, tested: Equations, strength: float) -> float:
    """Return the squared error on validation samples; infinite where there is no solution."""
    weight = equations.solution(strength)
    return math.inf if weight is None else tested.error(weight)
