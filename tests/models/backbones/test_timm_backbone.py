"""timm's networks: maps on the axes that everything here expects, whatever order they come in."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from cliqa.models.backbones.timm_backbone import TIMMBackbone
from cliqa.models.build import build_model
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError


class Format(Enum):
    """timm's own words."""

    NHWC = "NHWC"


class Net(nn.Module):
    """A network as timm makes them: maps of 24 channels, or tokens."""

    def __init__(self, layout: Any, shape: str = "maps", channels: int | None = 24) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 24, 8, 8)
        self.shape = shape
        if layout:
            self.output_fmt = layout
        if channels:
            self.num_features = channels

    def forward(self, images: Tensor) -> Any:
        maps = self.layer(images)  # (B, 24, h, w)
        if self.shape == "tokens":
            return maps.flatten(2).transpose(1, 2)
        if self.shape == "pyramid":
            return [maps[:, :8].permute(0, 2, 3, 1), maps.permute(0, 2, 3, 1)]
        return maps.permute(0, 2, 3, 1) if self.shape == "last" else maps


@pytest.fixture
def of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes a model over a network that stands for timm's."""

    def make(net: Net, channels: int = 24, **more: Any) -> Any:
        def start(self: Any, model_name: str) -> None:
            BaseModule.__init__(self)
            self.timm_model = net

        monkeypatch.setattr(TIMMBackbone, "__init__", start)
        backbone = {"type": "TIMMBackbone", "model_name": "swin"}
        head = {"type": "LinearScoreHead", "in_channels": channels}
        return build_model({"type": "QualityModel", "backbone": backbone, "head": head, **more})

    return make


def images(height: int = 32, width: int = 48) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("layout", "shape", "channels"),
    [
        ("NHWC", "last", 24),
        (Format.NHWC, "last", None),
        (None, "last", 24),  # an older timm names the channels alone
        (None, "maps", 24),
        ("NHWC", "maps", 24),  # turned by timm already
        (None, "maps", None),
    ],
)
def test_maps_are_the_channels_first(of: Any, layout: Any, shape: str, channels: Any) -> None:
    net = Net(layout, shape, channels)
    model = of(net)
    expected = net.layer(images()).mean((2, 3))
    torch.testing.assert_close(model.features(images()), expected)
    assert model(images()).shape == (2,)
    with pytest.raises(ModelError, match=r"shape \(2, 24\)\. Set in_channels=24 in model\.head"):
        of(net, 4)(images())


def test_where_both_axes_have_as_many_the_layout_decides(of: Any) -> None:
    net = Net("NHWC", "last")
    square = images(192, 192)  # a map of 24 x 24 x 24
    torch.testing.assert_close(of(net).features(square), net.layer(square).mean((2, 3)))
    net = Net(None, "maps")
    torch.testing.assert_close(of(net).features(square), net.layer(square).mean((2, 3)))


def test_each_of_several_maps_has_its_own_channels(of: Any) -> None:
    net: Any = Net(None, "pyramid", None)
    net.feature_info = SimpleNamespace(channels=lambda: [8, 24])
    maps = net.layer(images()).mean((2, 3))
    torch.testing.assert_close(of(net, 32).features(images()), torch.cat([maps[:, :8], maps], 1))


@pytest.mark.parametrize("neck", [None, {"type": "GlobalAveragePooling"}])
def test_tokens_are_refused_with_what_exists(of: Any, neck: Any) -> None:
    model = of(Net(None, "tokens"), neck=neck)
    with pytest.raises(ModelError, match=r"TIMMBackbone returned .*'VisionTransformer', or 'Torch"):
        model(images())
    assert MODELS.get("VisionTransformer") is not None


def test_it_stands_for_mmpretrains_and_keeps_its_arguments() -> None:
    assert MODELS.get("TIMMBackbone") is TIMMBackbone
    assert MODELS.get("mmpretrain.TIMMBackbone") is TIMMBackbone.__mro__[1]
    with pytest.raises(ConfigError, match=r"missing argument 'model_name'.*features_only = False"):
        build_model(
            {
                "type": "QualityModel",
                "backbone": {"type": "TIMMBackbone"},
                "head": {"type": "LinearScoreHead", "in_channels": 4},
            }
        )


@pytest.mark.slow
def test_timms_own_transformer() -> None:
    timm: Any = pytest.importorskip("timm")
    backbone = {"type": "TIMMBackbone", "model_name": "swin_tiny_patch4_window7_224"}
    head = {"type": "LinearScoreHead", "in_channels": 768}
    model: Any = build_model({"type": "QualityModel", "backbone": backbone, "head": head}).eval()
    batch = images(224, 224)
    maps = timm.create_model(backbone["model_name"], num_classes=0, global_pool="").eval()
    maps.load_state_dict(model.backbone.timm_model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model.features(batch), maps(batch).mean((1, 2)))
