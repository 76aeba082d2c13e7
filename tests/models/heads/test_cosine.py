from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.models.heads.cosine import CosineScoreHead
from cliqa.utils.errors import ModelError


def test_the_score_is_the_scaled_and_shifted_cosine() -> None:
    torch.manual_seed(0)
    head: Any = CosineScoreHead(in_channels=8, embed_dims=4)
    with torch.no_grad():
        head.scale.fill_(2.0)
        head.shift.fill_(0.25)
    features = torch.rand(3, 8)
    embedding = head.embed(features)
    cosine = embedding @ head.direction / head.direction.norm()
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(head(features), 2 * cosine + 0.25)


def test_without_affine_the_score_lies_in_0_to_1() -> None:
    head = CosineScoreHead(in_channels=4, embed_dims=4, affine=False)
    with torch.no_grad():
        head.projection.weight.copy_(torch.eye(4))
        head.projection.bias.zero_()
        head.direction.copy_(torch.tensor([0.0, 3.0, 0.0, 0.0]))
    features = torch.tensor([[0.0, 5.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(head(features), torch.tensor([1.0, 0.0, 0.5]))
    assert sorted(name for name, _ in head.named_parameters()) == [
        "direction",
        "projection.bias",
        "projection.weight",
    ]


def test_affine_starts_as_the_plain_score() -> None:
    features = torch.rand(5, 8)
    scores = []
    for affine in (True, False):
        torch.manual_seed(0)
        scores.append(CosineScoreHead(in_channels=8, affine=affine)(features))
    torch.testing.assert_close(*scores)
    assert (scores[0] - 0.5).abs().max() < 0.3


def test_the_features_length_does_not_matter_without_a_bias() -> None:
    head = CosineScoreHead(in_channels=8)
    with torch.no_grad():
        head.projection.bias.zero_()
    features = torch.rand(2, 8)
    torch.testing.assert_close(head(7 * features), head(features))


def test_gradients_reach_every_parameter() -> None:
    head = CosineScoreHead(in_channels=8)
    head(torch.rand(1, 8)).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_zero_features_have_finite_gradients() -> None:
    head = CosineScoreHead(in_channels=8)
    with torch.no_grad():
        head.projection.bias.zero_()
    features = torch.zeros(1, 8, requires_grad=True)
    head(features).sum().backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_other_features_are_refused() -> None:
    with pytest.raises(ModelError, match=r"Set in_channels=8 in model\.head"):
        CosineScoreHead(in_channels=4)(torch.zeros(2, 8))
