from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cliqa.losses.combined import CombinedLoss
from cliqa.losses.correlation import PLCCLoss
from cliqa.losses.pairwise import FidelityLoss
from cliqa.losses.ratings import Wanted, wanted_by
from cliqa.utils.errors import ConfigError, ModelError


def test_it_is_the_weighted_sum() -> None:
    prediction, target = torch.rand(2, 6, generator=torch.Generator().manual_seed(0))
    loss = CombinedLoss([{"type": "L1Loss"}, {"type": "PLCCLoss", "weight": 0.25}])
    wanted = F.l1_loss(prediction, target) + 0.25 * PLCCLoss()(prediction, target)
    torch.testing.assert_close(loss(prediction, target), wanted)


def test_a_weight_of_zero_leaves_the_other_loss_alone() -> None:
    prediction = torch.tensor([float("inf"), 0.2])
    loss = CombinedLoss([{"type": "HuberLoss"}, {"type": "FidelityLoss", "weight": 0.0}])
    assert loss(prediction, torch.zeros(2)) == F.huber_loss(prediction, torch.zeros(2))


def test_the_configs_are_left_as_they_are() -> None:
    losses: list[dict[str, Any]] = [{"type": "L1Loss", "weight": 2}]
    CombinedLoss(losses)
    assert losses == [{"type": "L1Loss", "weight": 2}]


def test_the_shapes_are_checked() -> None:
    with pytest.raises(ModelError, match=r"shape \(4, 1\)"):
        CombinedLoss([{"type": "MSELoss"}])(torch.zeros(4, 1), torch.zeros(4))


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([], "expected a list of dict"),
        ({"type": "L1Loss"}, "expected a list of dict"),
        (["L1Loss"], r"losses\[0\]: expected dict\(type=\.\.\.\), got 'L1Loss'"),
        ([{"type": "L2Loss"}], r"CombinedLoss\.losses\[0\]: unknown loss 'L2Loss'"),
        (
            [{"type": "L1Loss"}, {"type": "PairwiseRankLoss", "margn": 1}],
            r"losses\[1\] 'PairwiseRankLoss': unexpected argument 'margn'.*'margin'",
        ),
        ([{"type": "L1Loss", "weight": -1}], r"losses\[0\]\.weight: .*at least 0, got -1"),
        ([{"type": "L1Loss", "weight": "1"}], r"losses\[0\]\.weight: expected a number"),
        ([{"type": "L1Loss", "weight": float("nan")}], r"losses\[0\]\.weight: .*got nan"),
        ([{"type": "L1Loss", "weight": 0}], "every weight is 0"),
    ],
)
def test_a_wrong_list_is_refused(losses: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CombinedLoss(losses)


def test_what_a_term_reads_of_raters_reaches_it() -> None:
    terms: list[dict[str, Any]] = [
        {"type": "L1Loss"},
        {"type": "FidelityLoss", "raters": True, "weight": 2.0},
    ]
    loss = CombinedLoss(terms)
    prediction, target = torch.tensor([0.2, 0.9, 0.4]), torch.tensor([0.3, 0.5, 0.9])
    ratings = torch.tensor([[0.1], [0.2], [0.3]])
    expected = nn.L1Loss()(prediction, target)
    expected = expected + 2 * FidelityLoss(raters=True)(prediction, target, ratings)
    assert torch.allclose(loss(prediction, target, ratings), expected)
    assert wanted_by(loss) == Wanted(0)
    assert wanted_by(CombinedLoss(terms[:1])) is None
