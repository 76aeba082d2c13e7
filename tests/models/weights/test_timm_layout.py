"""timm's networks in mmpretrain's backbones: the same features from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from cliqa.models.backbones.extractor import FeatureExtractor
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.weights.timm_layout import from_timm
from cliqa.models.weights.weights import load_weights

VIT = {"embed_dims": 32, "num_layers": 2, "num_heads": 2, "feedforward_channels": 64}


@pytest.mark.parametrize(
    ("name", "arguments", "backbone"),
    [
        ("resnet26d", {"layers": (3, 4, 6, 3)}, {"type": "ResNetV1d", "depth": 50}),
        ("resnest50d", {}, {"type": "ResNeSt", "depth": 50}),
        ("seresnet50", {}, {"type": "SEResNet", "depth": 50}),
        ("res2net50d", {}, {"type": "Res2Net", "depth": 50}),
        (
            "vit_tiny_patch16_224",
            {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
            | {"mlp_ratio": 2},
            {"type": "VisionTransformer", "arch": VIT, "img_size": 32, "patch_size": 8},
        ),
    ],
)
def test_features_are_timms(
    name: str, arguments: dict[str, Any], backbone: dict[str, Any], tmp_path: Path
) -> None:
    wrapper = "module." if arguments else ""
    torch.manual_seed(0)
    source: Any = timm.create_model(name, num_classes=5, **arguments).eval()
    for tensor in source.state_dict().values():
        if tensor.is_floating_point():  # biases and statistics that are 0 or 1 hide a mistake
            tensor.mul_(1 + 0.1 * torch.rand_like(tensor)).add_(0.01 * torch.rand_like(tensor))
    torch.save({f"{wrapper}{k}": v for k, v in source.state_dict().items()}, tmp_path / "w.pth")
    own = build_part(backbone, "backbone")
    report = load_weights(own, tmp_path / "w.pth")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = source.forward_head(source.forward_features(images), pre_logits=True)
    torch.testing.assert_close(FeatureExtractor(own)(images), wanted, rtol=1e-4, atol=1e-5)
    assert "read in timm's layout" in str(report)
    assert not report.is_doubtful


def test_other_files_and_models_are_left_alone() -> None:
    file: dict[str, Tensor] = {
        "conv1.weight": torch.zeros(1),
        "layer1.0.se.fc1.weight": torch.ones(1),
    }
    assert from_timm(file, ["backbone.conv1.weight"]) is None
    assert from_timm(file, ["stem.2.conv.weight", "conv1.weight"]) is None
    names = from_timm(file, ["layer1.0.se_layer.conv1.conv.weight"])
    assert names is not None
    assert set(names) == {"conv1.weight", "layer1.0.se_layer.conv1.conv.weight"}
