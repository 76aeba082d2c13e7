from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.models.build import build_model
from cliqa.models.lightweight import LightweightModel, create_lightweight_model
from cliqa.utils.errors import ModelError


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [
        ("resnet18", 11_308_096),
        ("mobilenet_v3_small", 1_074_976),
        ("efficientnet_b0", 4_335_740),
    ],
)
def test_the_parameters_are_counted(backbone: str, parameters: int) -> None:
    model = create_lightweight_model(backbone, affine=False).eval()
    assert sum(p.numel() for p in model.parameters()) == parameters
    with torch.no_grad():
        score = model(torch.rand(1, 3, 32, 32))
    assert score.shape == (1,)
    assert 0 <= score.item() <= 1


def test_affine_adds_two_parameters_and_the_embedding_has_its_length() -> None:
    model: Any = create_lightweight_model("mobilenet_v3_small", embedding_dim=16)
    plain = create_lightweight_model("mobilenet_v3_small", embedding_dim=16, affine=False)
    counts = [sum(p.numel() for p in each.parameters()) for each in (model, plain)]
    assert counts[0] == counts[1] + 2
    assert model.head.embed(model.features(torch.rand(2, 3, 32, 32))).shape == (2, 16)


def test_it_is_built_from_a_config() -> None:
    config = {"type": "LightweightModel", "backbone": "mobilenet_v3_small", "freeze": ["backbone"]}
    model = build_model(config)
    assert isinstance(model, LightweightModel)
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(name.startswith("head.") for name in trainable)


def test_pretrained_means_torchvisions_weights_or_a_file() -> None:
    with pytest.raises(ModelError, match=r"weights 'gone\.pth': no file"):
        create_lightweight_model("mobilenet_v3_small", pretrained="gone.pth")


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"'resnet_18'\. Did you mean 'resnet18'\? Use resnet18, mob"
    ):
        create_lightweight_model("resnet_18")
