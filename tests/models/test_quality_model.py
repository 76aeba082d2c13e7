from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.quality_model import QualityModel
from cliqa.utils.errors import ConfigError, ModelError

RESNET: dict[str, Any] = {"type": "ResNet", "depth": 18, "base_channels": 4}
GAP = {"type": "GlobalAveragePooling"}


def linear(in_channels: int) -> dict[str, Any]:
    return {"type": "LinearScoreHead", "in_channels": in_channels}


def images(size: int = 2, edge: int = 32) -> torch.Tensor:
    return torch.rand(size, 3, edge, edge, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [
        (RESNET, 32),
        (RESNET | {"out_indices": (2, 3)}, 16 + 32),
        ({"type": "MobileNetV3", "arch": "small_050"}, 288),
        ({"type": "ConvNeXt", "arch": "atto"}, 320),
        ({"type": "VisionTransformer", "arch": "deit-tiny", "img_size": 32}, 192),
        (
            {"type": "TorchvisionBackbone", "arch": "mobilenet_v3_small", "nodes": ["features.3"]},
            24,
        ),
    ],
)
@pytest.mark.parametrize("neck", [None, GAP])
def test_any_backbone_gives_one_score_an_image(
    backbone: dict[str, Any], channels: int, neck: dict[str, Any] | None
) -> None:
    model = QualityModel(backbone=backbone, head=linear(channels), neck=neck).eval()
    with torch.no_grad():
        assert model.features(images()).shape == (2, channels)
        assert model(images()).shape == (2,)
        one = model(images(1))
        assert one.shape == (1,)
        torch.testing.assert_close(one, model(images())[:1], rtol=1e-4, atol=1e-5)


def test_maps_are_pooled_and_joined_with_or_without_a_neck() -> None:
    backbone = RESNET | {"out_indices": (2, 3)}
    model = QualityModel(backbone=backbone, head=linear(48), neck=GAP).eval()
    third, fourth = model.backbone(images())
    wanted = torch.cat([third.mean(dim=(2, 3)), fourth.mean(dim=(2, 3))], dim=1)
    torch.testing.assert_close(model.features(images()), wanted)
    model.neck = None
    torch.testing.assert_close(model.features(images()), wanted)


@pytest.mark.parametrize(
    "head",
    [
        linear(32),
        {"type": "CosineScoreHead", "in_channels": 32, "embed_dims": 8},
        {"type": "LinearClsHead", "in_channels": 32, "num_classes": 1},
    ],
)
def test_gradients_reach_every_parameter(head: dict[str, Any]) -> None:
    torch.manual_seed(0)
    backbone = RESNET | {"zero_init_residual": False}  # zeros would hold gradients back at first
    model = QualityModel(backbone=backbone, head=head)
    F.mse_loss(model(images(4)), torch.linspace(0, 1, 4)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_batch_of_one_can_be_trained_on() -> None:
    model: Any = QualityModel(backbone=RESNET, head=linear(32))
    model(images(1, edge=64)).sum().backward()
    assert model.head.fc.weight.grad is not None


def test_a_few_steps_fit_a_batch() -> None:
    torch.manual_seed(0)
    model = QualityModel(backbone=RESNET, head={"type": "CosineScoreHead", "in_channels": 32})
    target = torch.tensor([0.1, 0.4, 0.6, 0.9])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        loss = F.l1_loss(model(images(4)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_frozen_parts_neither_learn_nor_count() -> None:
    model: Any = QualityModel(
        backbone=RESNET, head=linear(32), freeze=["backbone.bn1", "backbone.conv1"]
    )
    model.train()
    assert model.train() is model
    model(images(4)).sum().backward()
    assert model.backbone.conv1.weight.grad is None
    assert model.backbone.bn1.num_batches_tracked == 0
    assert model.backbone.layer1[0].bn1.num_batches_tracked == 1
    assert model.frozen.tensors == 3
    assert model.eval() is model
    assert not any(module.training for module in model.modules())


def test_a_whole_frozen_backbone_stays_in_evaluation_mode() -> None:
    model = QualityModel(backbone=RESNET, head=linear(32), freeze=["backbone"]).train()
    assert not any(module.training for module in model.backbone.modules())
    assert model.head.training


def test_freezing_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        QualityModel(backbone=RESNET, head=linear(32), freeze=["backbone"])
    assert "froze 63 of 65 parameter tensors" in caplog.text


def test_the_state_dict_makes_the_round_trip(tmp_path: Path) -> None:
    source = QualityModel(backbone=RESNET, head=linear(32))
    source(images(4))  # moves the batch statistics
    torch.save(source.state_dict(), tmp_path / "model.pth")
    twin = QualityModel(backbone=RESNET, head=linear(32))
    twin.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))
    assert torch.equal(twin.eval()(images()), source.eval()(images()))


def test_pretrained_takes_the_backbone_or_the_whole_model(tmp_path: Path) -> None:
    source: Any = QualityModel(backbone=RESNET, head=linear(32))
    torch.save(source.backbone.state_dict(), tmp_path / "backbone.pth")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "model.pth")
    for name, whole in (("backbone.pth", False), ("model.pth", True)):
        model: Any = QualityModel(
            backbone=RESNET, head=linear(32), pretrained=str(tmp_path / name)
        ).eval()
        assert torch.equal(model.features(images()), source.eval().features(images()))
        assert torch.equal(model.head.fc.weight, source.head.fc.weight) is whole


def test_weights_of_another_depth_are_refused(tmp_path: Path) -> None:
    other = QualityModel(backbone=RESNET | {"depth": 50}, head=linear(128))
    torch.save(other.state_dict(), tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"29 of the QualityModel's 107 .* no place"):
        QualityModel(backbone=RESNET, head=linear(32), pretrained=str(tmp_path / "other.pth"))


def test_a_head_with_other_channels_is_refused() -> None:
    model = QualityModel(backbone=RESNET, head=linear(64))
    with pytest.raises(ModelError, match=r"in_channels=64.*Set in_channels=32 in model\.head"):
        model(images())


def test_a_head_with_several_outputs_is_refused() -> None:
    head = {"type": "LinearClsHead", "in_channels": 32, "num_classes": 3}
    model = QualityModel(backbone=RESNET, head=head)
    with pytest.raises(ModelError, match=r"LinearClsHead returned shape \(2, 3\).*num_classes=1"):
        model(images())


def test_a_backbone_that_gives_tokens_is_refused() -> None:
    backbone = {
        "type": "VisionTransformer",
        "arch": "deit-tiny",
        "img_size": 32,
        "out_type": "raw",
    }
    model = QualityModel(backbone=backbone, head=linear(192))
    with pytest.raises(ModelError, match=r"returned shape \(2, 5, 192\).*out_type='cls_token'"):
        model(images())


def test_a_wrong_part_is_named() -> None:
    with pytest.raises(ConfigError, match=r"model\.head: unknown model 'LinearHead'"):
        QualityModel(backbone=RESNET, head={"type": "LinearHead"})
    with pytest.raises(ModelError, match=r"freeze: 'backbone\.stem' names no part"):
        QualityModel(backbone=RESNET, head=linear(32), freeze=["backbone.stem"])
