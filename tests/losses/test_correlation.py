from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from cliqa.losses.correlation import NormInNormLoss, PLCCLoss


@pytest.mark.parametrize("seed", range(3))
def test_it_is_half_of_one_minus_pearsons_correlation(seed: int) -> None:
    prediction, target = np.random.default_rng(seed).random((2, 20))
    correlation = stats.pearsonr(prediction, target).statistic
    value = PLCCLoss()(torch.from_numpy(prediction), torch.from_numpy(target))
    assert value.item() == pytest.approx((1 - correlation) / 2, abs=1e-12)


def test_shift_and_scale_do_not_matter() -> None:
    prediction, target = torch.rand(2, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        PLCCLoss()(3 * prediction - 1, target), PLCCLoss()(prediction, target)
    )


def test_the_extremes_are_zero_and_one() -> None:
    target = torch.tensor([0.1, 0.5, 0.6], dtype=torch.float64)
    assert PLCCLoss()(2 * target, target).item() == pytest.approx(0)
    assert PLCCLoss()(-target, target).item() == pytest.approx(1)


def by_loops(prediction: list[float], target: list[float], p: float, q: float) -> float:
    def unit(values: list[float]) -> list[float]:
        mean = sum(values) / len(values)
        norm = sum(abs(value - mean) ** q for value in values) ** (1 / q)
        return [(value - mean) / norm for value in values]

    pairs = zip(unit(prediction), unit(target), strict=True)
    distance = sum(abs(a - b) ** p for a, b in pairs)
    return distance / (2**p * len(target) ** max(0.0, 1 - p / q))


@pytest.mark.parametrize(("p", "q"), [(1.0, 2.0), (2.0, 2.0), (1.0, 1.0), (2.0, 1.0)])
def test_it_equals_the_formula_in_plain_loops(p: float, q: float) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.rand(2, 7, generator=generator, dtype=torch.float64)
    value = NormInNormLoss(p=p, q=q)(prediction, target)
    assert value.item() == pytest.approx(by_loops(prediction.tolist(), target.tolist(), p, q))


def test_it_lies_between_a_linear_fit_and_a_reversed_one() -> None:
    target = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert NormInNormLoss()(0.5 + 0.1 * target, target).item() == pytest.approx(0)
    assert NormInNormLoss()(-target, target).item() == pytest.approx(1)


@pytest.mark.parametrize(("p", "q"), [(0.5, 2.0), (1.0, 0.0)])
def test_orders_below_one_are_refused(p: float, q: float) -> None:
    with pytest.raises(ValueError, match=rf"at least 1, got p={p} and q={q}"):
        NormInNormLoss(p=p, q=q)
