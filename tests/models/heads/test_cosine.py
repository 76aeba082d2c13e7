from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.build import build_model
from cliqa.models.heads.cosine import CosineClsHead, CosineScoreHead
from cliqa.utils.errors import ConfigError, ModelError


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


CLASSIFIER = {
    "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "CosineClsHead", "num_classes": 5, "in_channels": 32},
}


def images(size: int = 2) -> torch.Tensor:
    return torch.rand(size, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_logits_are_scaled_cosines() -> None:
    head = CosineClsHead(num_classes=3, in_channels=2, scale=10.0)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[5.0, 0.0], [0.0, 0.1], [-3.0, -3.0]]))
    logits = head(torch.tensor([[2.0, 0.0], [1.0, 1.0]]))
    half = 10 * 0.5**0.5
    torch.testing.assert_close(logits, torch.tensor([[10.0, 0.0, -half], [half, half, -10.0]]))


def test_lengths_do_not_matter() -> None:
    head = CosineClsHead(num_classes=4, in_channels=8)
    features = torch.randn(3, 8)
    before = head(features)
    with torch.no_grad():
        head.weight[2] *= 100
    torch.testing.assert_close(head(7 * features), before)


def test_the_rows_start_with_a_length_of_about_1() -> None:
    torch.manual_seed(0)
    lengths = CosineClsHead(num_classes=50, in_channels=256).weight.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(50), atol=0.2, rtol=0)


@pytest.mark.parametrize("learn_scale", [True, False])
def test_the_scale_is_trained_if_asked_for(learn_scale: bool) -> None:
    head = CosineClsHead(num_classes=3, in_channels=4, scale=8, learn_scale=learn_scale)
    F.cross_entropy(head(torch.randn(6, 4)), torch.arange(6) % 3).backward()
    gradients = {name: p.grad for name, p in head.named_parameters()}
    assert sorted(gradients) == (["scale", "weight"] if learn_scale else ["weight"])
    assert all(g is not None and g.abs().sum() > 0 for g in gradients.values())


def test_zero_features_of_the_classifier_have_finite_gradients() -> None:
    features = torch.zeros(1, 4, requires_grad=True)
    CosineClsHead(num_classes=3, in_channels=4)(features).sum().backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_mixed_precision_does_not_coarsen_the_logits() -> None:
    head, features = CosineClsHead(num_classes=3, in_channels=16), torch.rand(5, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head(features)
    assert torch.equal(logits, head(features))


def test_it_is_the_head_of_mmpretrains_classifier() -> None:
    torch.manual_seed(0)
    model: Any = build_model(CLASSIFIER)
    features = model.extract_feat(images())
    assert model(images()).shape == (2, 5)
    assert torch.equal(model.head(features), model.head(features[-1]))
    assert model.head.scale == 16
    assert model.head.weight.std().item() == pytest.approx(32**-0.5, rel=0.15)
    torch.manual_seed(0)
    twin: Any = build_model(CLASSIFIER)
    assert torch.equal(twin.head.weight, model.head.weight)


def test_copies_and_states_give_the_same_output() -> None:
    model = build_model(CLASSIFIER).eval()
    restored = build_model(CLASSIFIER).eval()
    assert not torch.equal(restored(images()), model(images()))
    restored.load_state_dict(model.state_dict())
    for twin in (restored, copy.deepcopy(model)):
        assert torch.equal(twin(images()), model(images()))


def test_other_features_of_the_classifier_are_refused() -> None:
    with pytest.raises(ModelError, match=r"Set in_channels=8 in model\.head"):
        CosineClsHead(num_classes=2, in_channels=4)(torch.zeros(2, 8))


@pytest.mark.parametrize("name", ["num_classes", "in_channels", "scale"])
def test_sizes_and_the_scale_are_above_0(name: str) -> None:
    arguments: dict[str, Any] = {"num_classes": 2, "in_channels": 4, name: 0}
    with pytest.raises(ConfigError, match=f"CosineClsHead: {name} must be above 0, got 0"):
        CosineClsHead(**arguments)
