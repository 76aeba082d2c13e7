from __future__ import annotations

import pytest
import torch
from mmpretrain.models import losses as mmpretrain_losses
from torch import nn
from torch.nn import functional as F

from cliqa.registry import LOSSES, build_component


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "LabelSmoothLoss", "FocalLoss"])
def test_mmpretrains_losses_win_over_torchs(name: str) -> None:
    assert LOSSES.get(name) is getattr(mmpretrain_losses, name)
    assert LOSSES.get(f"mmpretrain.{name}") is getattr(mmpretrain_losses, name)


def test_torchs_stay_reachable() -> None:
    assert LOSSES.get("torch.CrossEntropyLoss") is nn.CrossEntropyLoss
    assert LOSSES.get("L1Loss") is nn.L1Loss


def test_the_cross_entropy_takes_a_weight() -> None:
    loss = build_component(
        LOSSES, {"type": "CrossEntropyLoss", "loss_weight": 0.5}, "cl_strategy.loss"
    )
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    torch.testing.assert_close(loss(logits, labels), 0.5 * F.cross_entropy(logits, labels))
