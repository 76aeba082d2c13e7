from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.backbones.small_conv_net import SmallConvNet
from cliqa.models.quality_model import QualityModel
from cliqa.pretraining.projection import QualityProjection, encode
from cliqa.pretraining.text_anchors import antipodal_anchors, orthogonal_anchors
from cliqa.utils.errors import ConfigError, ModelError

IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def small_net() -> SmallConvNet:
    torch.manual_seed(0)
    return SmallConvNet(in_channels=3, channels=(4, 8))


def test_a_backbone_and_a_quality_model_over_it_have_the_same_features() -> None:
    backbone = {"type": "SmallConvNet", "in_channels": 3, "channels": (4, 8)}
    model = QualityModel(backbone, head={"type": "LinearScoreHead", "in_channels": 8})
    assert torch.equal(encode(model, IMAGES), encode(model.backbone, IMAGES))
    assert encode(model, IMAGES).shape == (3, 8)


def test_a_module_called_features_is_no_method() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(3, 5, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.features(images).mean(dim=(2, 3)) + 1

    net = Net()
    assert torch.equal(encode(net, IMAGES), net(IMAGES))


@pytest.mark.parametrize("hidden", [0, 16])
def test_cosines_and_scores_follow_from_the_embedding(hidden: int) -> None:
    model = QualityProjection(small_net(), 3 * orthogonal_anchors(6), 8, hidden, temperature=0.2)
    embedding, cosines = model.embed(IMAGES), model(IMAGES)
    assert embedding.norm(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert torch.allclose(cosines, embedding[:, :2])  # the anchors are axes of length 1
    lead = (cosines[:, 0] - cosines[:, 1]) / 0.2
    assert torch.allclose(model.score(IMAGES), lead.sigmoid())


def test_an_embedding_on_an_anchor_gets_the_best_or_the_worst_score() -> None:
    model = QualityProjection(nn.Identity(), antipodal_anchors(4), 4, hidden=0)
    nn.init.eye_(model.projection.weight)  # type: ignore[arg-type]
    nn.init.zeros_(model.projection.bias)  # type: ignore[arg-type]
    axis = torch.tensor([[9.0, 0, 0, 0], [-2.0, 0, 0, 0], [0, 1.0, 0, 0]])
    best = 1 / (1 + torch.e**-4)
    assert model.score(axis).tolist() == pytest.approx([best, 1 - best, 0.5])


def test_the_anchors_are_saved_and_not_trained() -> None:
    model = QualityProjection(small_net(), antipodal_anchors(6), 8)
    assert "anchors" not in dict(model.named_parameters())
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = QualityProjection(SmallConvNet(3, (4, 8)), orthogonal_anchors(6), 8)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other.score(IMAGES), model.score(IMAGES))


def test_half_precision_stays_outside_of_the_cosines() -> None:
    model = QualityProjection(small_net(), antipodal_anchors(6), 8)
    with torch.autocast("cpu", torch.bfloat16):
        cosines = model(IMAGES)
    assert cosines.dtype == torch.float32
    assert torch.allclose(cosines, model(IMAGES), atol=0.02)


def test_features_of_another_width_are_refused() -> None:
    model = QualityProjection(small_net(), antipodal_anchors(6), in_features=512)
    with pytest.raises(ModelError, match=r"shape \(3, 8\), expected \(B, 512\). Set in_features=8"):
        model(IMAGES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anchors": torch.ones(3, 4)}, r"anchors must be \(2, D\), got shape \(3, 4\)"),
        ({"in_features": 0}, "in_features must be above 0, got 0"),
        ({"temperature": 0}, "temperature must be above 0, got 0"),
        ({"hidden": -1}, "hidden must be >= 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    usual = {"encoder": small_net(), "anchors": antipodal_anchors(4), "in_features": 8}
    with pytest.raises(ConfigError, match=message):
        QualityProjection(**{**usual, **arguments})
