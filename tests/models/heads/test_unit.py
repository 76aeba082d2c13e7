"""A score along one direction of unit features."""

from __future__ import annotations

import pytest
import torch

from cliqa.models.heads.unit import UnitScoreHead
from cliqa.utils.errors import ModelError


def test_the_score_is_by_hand() -> None:
    head = UnitScoreHead(2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[3.0, 4.0]]))
    features = torch.tensor([[0.0, 2.0], [-6.0, -8.0]])
    assert torch.allclose(head.train()(features), torch.tensor([4.0, -5.0]))
    assert torch.allclose(head.eval()((features,)), torch.tensor([0.9, 0.0]), atol=1e-6)
    assert torch.allclose(head.raw(features), torch.tensor([4.0, -5.0]))


def test_zero_features_and_weights_have_finite_scores_and_gradients() -> None:
    head = UnitScoreHead(2)
    head.train()(torch.zeros(1, 2)).sum().backward()
    assert head.weight.grad is not None
    assert bool(head.weight.grad.isfinite().all())
    torch.nn.init.zeros_(head.weight)
    assert head.eval()(torch.ones(1, 2)).item() == pytest.approx(0.5)


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(ModelError, match="in_channels=3"):
        UnitScoreHead(2)(torch.ones(1, 3))
