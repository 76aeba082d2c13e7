"""Channels that a config leaves out, found by a forward pass of a black image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.backbones.probe import probed
from cliqa.models.build import build_model
from cliqa.utils.errors import ConfigError, ModelError

RESNET = {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4}
GAP = {"type": "GlobalAveragePooling"}


@pytest.mark.parametrize(
    ("config", "channels"),
    [
        ({"type": "QualityModel", "backbone": RESNET}, 32),
        ({"type": "QualityModel", "backbone": {**RESNET, "out_indices": (1, 3)}}, 40),
        ({"backbone": RESNET, "neck": GAP}, 32),
        ({"type": "ImageClassifier", "backbone": RESNET, "neck": [GAP]}, 32),
    ],
)
def test_the_model_is_that_with_the_channels_given(config: dict[str, Any], channels: int) -> None:
    models = []
    for given in ({}, {"in_channels": channels}):
        torch.manual_seed(0)
        head = {"type": "LinearClsHead", "num_classes": 1, **given}
        models.append(build_model({**config, "head": head}))
    states = [model.state_dict() for model in models]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert all(module.training for module in models[0].modules())


@pytest.mark.parametrize("kind", ["ImageTextModel", "FusionModel"])
def test_models_of_images_and_texts_find_them_too(kind: str) -> None:
    backbone = {"type": "SmallConvNet", "in_channels": 1, "flatten": False}
    model: Any = build_model({"type": kind, "backbone": backbone, "texts": "fashion_mnist"})
    given = build_model(
        {"type": kind, "backbone": backbone, "texts": "fashion_mnist", "in_channels": 64}
    )
    assert model.head.in_channels == 64
    assert [p.shape for p in model.parameters()] == [p.shape for p in given.parameters()]


def test_other_arguments_are_still_missed() -> None:
    with pytest.raises(ConfigError, match=r"model\.head 'LinearClsHead': missing .*num_classes"):
        build_model({"backbone": RESNET, "neck": GAP, "head": {"type": "LinearClsHead"}})


class Backbone(nn.Module):
    """Takes images of one size, and counts what it got."""

    def __init__(self, channels: int = 3, **sizes: Any) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(channels, 5, 1), nn.BatchNorm2d(5))
        self.frozen = nn.BatchNorm2d(5).eval()
        vars(self).update(sizes)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2] == 8:
            raise RuntimeError("too\nsmall")
        found: Tensor = self.frozen(self.layer(images))
        return found


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ({}, (1, 3, 224, 224)),
        ({"img_size": 64}, (1, 3, 64, 64)),
        ({"img_size": (32, 48), "channels": 1}, (1, 1, 32, 48)),
    ],
)
def test_the_image_suits_the_backbone_and_nothing_changes(sizes: Any, shape: Any) -> None:
    backbone = Backbone(**sizes)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    modes = [module.training for module in backbone.modules()]
    random = torch.get_rng_state()
    assert probed(lambda image: (backbone(image), image)[1].shape, backbone, key="x") == shape
    assert all(torch.equal(before[n], t) for n, t in backbone.state_dict().items())
    assert [module.training for module in backbone.modules()] == modes
    assert torch.equal(random, torch.get_rng_state())


def test_a_failure_says_what_to_set() -> None:
    backbone = Backbone(img_size=8)
    with pytest.raises(
        ModelError,
        match=r"Backbone cannot process an image of 8 x 8 px to find its channels \(too small\)\. "
        r"Set them: model\.head\.in_channels=\.\.\.\.",
    ):
        probed(backbone, backbone, key="model.head.in_channels=...")
