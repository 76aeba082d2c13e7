from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from cliqa.losses.plcc import PLCCLoss


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
