from __future__ import annotations

import pytest
import torch

from cliqa.models.heads.linear import LinearScoreHead
from cliqa.utils.errors import ModelError


def test_the_score_is_linear() -> None:
    head = LinearScoreHead(in_channels=3)
    with torch.no_grad():
        head.fc.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
        head.fc.bias.fill_(0.25)
    torch.testing.assert_close(head(torch.tensor([[1.0, 1.0, 2.0]])), torch.tensor([0.25]))


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("size", [1, 4])
def test_scores_have_one_dimension_and_start_in_the_middle(sigmoid: bool, size: int) -> None:
    scores = LinearScoreHead(in_channels=16, sigmoid=sigmoid)(torch.rand(size, 16))
    assert scores.shape == (size,)
    torch.testing.assert_close(scores, torch.full((size,), 0.5), atol=0.2, rtol=0)


def test_the_sigmoid_bounds_the_score() -> None:
    scores = LinearScoreHead(in_channels=1, sigmoid=True)(torch.tensor([[1e6], [-1e6]]))
    assert ((scores >= 0) & (scores <= 1)).all()


def test_other_features_are_refused() -> None:
    with pytest.raises(ModelError, match=r"Set in_channels=8 in model\.head"):
        LinearScoreHead(in_channels=4)(torch.zeros(2, 8))
