"""The solution from sums equals least squares over the rows of all samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import Tensor

from cliqa.training.supervised.ridge_solution import (
    CAUTION,
    Solution,
    _equations,
    _gcv,
    _parts,
    slopes_of,
    solve,
)
from cliqa.training.supervised.ridge_sums import Accumulator, StreamSums, packed
from cliqa.utils.errors import ModelError

PARTS = {"a": (0, 20), "b": (20, 33), "c": (33, 60)}


def rows(count: int = 60, features: int = 5) -> tuple[Tensor, Tensor]:
    """Return features (count, p) of unlike scales, and two targets that depend on them."""
    random = torch.Generator().manual_seed(1)
    z = 3 + torch.randn(count, features, generator=random) * torch.logspace(-1, 1, features)
    y = z.double() @ torch.randn(features, 2, generator=random).double()
    return z.double(), y + torch.randn(count, 2, generator=random).double()


def sums_of(
    z: Tensor, y: Tensor, parts: dict[str, tuple[int, int]], equal: bool = False
) -> StreamSums:
    found = StreamSums()
    for name, (start, end) in parts.items():
        one = Accumulator(z.shape[1], y.shape[1])
        for batch in range(start, end, 7):
            chosen = slice(batch, min(batch + 7, end))
            one.add(z[chosen], y[chosen], 1 / (end - start) if equal else 1.0)
        found.add(name, one.sums, packed(one.products))
    return found


def least_squares(z: Tensor, y: Tensor, strength: float, weights: Tensor, groups: Tensor) -> Tensor:
    """Return predictions for the rows: weighted least squares with penalty rows, by LAPACK.

    Args:
        z: (N, p).
        y: (N, K).
        strength: Of the penalty.
        weights: (N,).
        groups: (N, G) indicator columns, whose coefficients are not penalised.
    """
    mean = (weights[:, None] * z).sum(0) / weights.sum()
    fixed = z - groups @ torch.linalg.lstsq(groups, z).solution if groups.shape[1] > 1 else z - mean
    std = ((weights[:, None] * fixed.square()).sum(0) / weights.sum()).sqrt()
    inputs = torch.cat([(z - mean) / std, groups], dim=1)
    penalty = torch.cat([torch.eye(z.shape[1]), torch.zeros(z.shape[1], groups.shape[1])], dim=1)
    root = weights.sqrt()[:, None]
    left = torch.cat([root * inputs, (strength * weights.sum()).sqrt() * penalty.double()])
    right = torch.cat([root * y, torch.zeros(z.shape[1], y.shape[1]).double()])
    found = linalg.lstsq(left.numpy(), right.numpy())[0]
    return inputs @ torch.from_numpy(found)


@pytest.mark.parametrize("strength", [1e-4, 0.1, 10.0])
@pytest.mark.parametrize("equal", [False, True])
def test_it_is_the_ridge_regression_over_the_union(strength: float, equal: bool) -> None:
    z, y = rows()
    weights = torch.ones(60).double()
    if equal:
        weights = torch.cat([torch.full((b - a,), 1 / (b - a)) for a, b in PARTS.values()]).double()
    expected = least_squares(z, y, strength, weights, torch.ones(60, 1).double())
    found = solve(sums_of(z, y, PARTS, equal), strength).predict(z)
    assert torch.allclose(found, expected, rtol=0, atol=1e-8)


def test_any_order_and_any_split_give_the_same_solution() -> None:
    z, y = rows()
    one = solve(sums_of(z, y, PARTS), 0.1)
    for parts in (dict(reversed(PARTS.items())), {"all": (0, 60)}, {"x": (0, 1), "y": (1, 60)}):
        other = solve(sums_of(z, y, parts), 0.1)
        assert torch.allclose(other.weight, one.weight, rtol=0, atol=1e-8)
        assert torch.allclose(other.bias, one.bias, rtol=0, atol=1e-8)


def test_an_offset_a_set_equals_indicator_columns() -> None:
    z, y = rows()
    groups = torch.zeros(60, 3).double()
    for index, (start, end) in enumerate(PARTS.values()):
        groups[start:end, index] = 1
        y[start:end] += 5 * index
    expected = least_squares(z, y, 0.1, torch.ones(60).double(), groups)
    found = solve(sums_of(z, y, PARTS), 0.1, "offset").predict(z)
    shift = expected - found
    for start, end in PARTS.values():  # the prediction has the mean offset for all of them
        assert torch.allclose(shift[start:end], shift[start].expand(end - start, 2), atol=1e-8)
    assert torch.allclose(found.mean(0), y.mean(0), atol=1e-8)


def test_affine_scales_do_not_matter_to_the_ranking() -> None:
    z, y = rows()
    other = y.clone()
    other[20:33] = 7 + 3 * other[20:33]
    one, two = (solve(sums_of(z, t, PARTS), 0.1, "affine") for t in (y, other))
    ratio = two.weight / one.weight
    assert torch.allclose(ratio, ratio[:1].expand_as(ratio), rtol=1e-8)
    plain = solve(sums_of(z, other, PARTS), 0.1).weight / solve(sums_of(z, y, PARTS), 0.1).weight
    assert not torch.allclose(plain, plain[:1].expand_as(plain), rtol=1e-2)


def test_the_aligned_prediction_of_a_single_set_is_on_its_own_scale() -> None:
    z, y = rows()
    parts = {"a": (0, 60)}
    plain = solve(sums_of(z, y, parts), 1e-9).predict(z)
    aligned = solve(sums_of(z, y, parts), 1e-9, "affine").predict(z)
    assert torch.allclose(aligned, plain, atol=1e-6)


def test_constant_features_have_no_weight() -> None:
    z, y = rows()
    z[:, 2] = 0.1
    found = solve(sums_of(z, y, PARTS), 0.1)
    assert float(found.inverse_std[2]) == 0.0
    assert found.weight.isfinite().all()
    others = [0, 1, 3, 4]
    without = solve(sums_of(z[:, others], y, PARTS), 0.1)
    assert torch.allclose(found.weight[others], without.weight, atol=1e-9)


def test_cross_validation_is_its_definition() -> None:
    z, y = rows(60, 40)
    sums = sums_of(z, y, {"a": (0, 60)})
    parts = _parts(sums, None, slopes_of(sums, None))
    equations = _equations(sums, parts)
    found = _gcv(equations, 100.0, 60, 1)
    centred, targets = (z - z.mean(0)).numpy(), (y - y.mean(0)).numpy()
    hat = centred @ np.linalg.solve(centred.T @ centred + 6000 * np.eye(40), centred.T)
    errors = np.square(targets - hat @ targets).sum()
    expected = errors / (1 - CAUTION * (np.trace(hat) + 1) / 60) ** 2
    assert found == pytest.approx(expected, rel=0.02)  # the trace is estimated


def chosen(strength: str, noise: float) -> Solution:
    random = torch.Generator().manual_seed(2)
    z = torch.randn(120, 50, generator=random).double()
    y = z[:, :3].sum(1, keepdim=True) + noise * torch.randn(120, 1, generator=random).double()
    held = sums_of(z[80:], y[80:], {"a": (0, 40)})
    return solve(sums_of(z[:80], y[:80], {"a": (0, 80)}), strength, None, held)


@pytest.mark.parametrize("strength", ["gcv", "validation"])
def test_more_noise_gets_a_larger_strength(strength: str) -> None:
    assert chosen(strength, 0.01).strength < 0.1 < chosen(strength, 20.0).strength


def test_the_validation_error_is_the_least_of_those_tried() -> None:
    random = torch.Generator().manual_seed(2)
    z = torch.randn(120, 50, generator=random).double()
    y = z[:, :3].sum(1, keepdim=True) + 2 * torch.randn(120, 1, generator=random).double()
    sums, held = sums_of(z[:80], y[:80], {"a": (0, 80)}), sums_of(z[80:], y[80:], {"a": (0, 40)})

    def error(strength: float | str) -> float:
        return float((solve(sums, strength, None, held).predict(z[80:]) - y[80:]).square().sum())

    decades = [error(10.0**k) for k in range(-5, 3)]
    assert error("validation") <= min(decades) + 1e-9


def test_equations_without_a_solution_are_refused() -> None:
    z = torch.randn(3, 40).double()
    with pytest.raises(ModelError, match=r"strength=1e-30 .* 40 features .* Raise cl_strategy"):
        solve(sums_of(z, z[:, :1], {"a": (0, 3)}), 1e-30)
