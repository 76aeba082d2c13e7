from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.build import build_model, check_model
from cliqa.models.hyperiqa.hyperiqa import HyperIQA
from cliqa.models.hyperiqa.ms_hyperiqa import MSHyperIQA
from cliqa.models.hyperiqa.swin_hyperiqa import SwinHyperIQA
from cliqa.utils.errors import ConfigError, ModelError

RESNET18 = {
    "type": "TorchvisionBackbone",
    "arch": "resnet18",
    "nodes": ["layer1", "layer2", "layer3", "layer4"],
}
SMALL: dict[str, Any] = {
    "backbone": RESNET18,
    "hidden": (16,),
    "hyper_channels": 8,
    "target_sizes": (28, 14, 7),
    "local_channels": (2, 3, 4),
    "local_dims": 4,
}


def test_the_parameters_are_counted() -> None:
    with torch.device("meta"):
        model: Any = HyperIQA()
    assert sum(p.numel() for p in model.parameters()) == 27_375_369
    assert sum(p.numel() for p in model.backbone.parameters()) == 23_508_032


def test_a_small_one_is_built_from_a_config() -> None:
    model: Any = build_model({"type": "HyperIQA", **SMALL, "freeze": ["backbone"]}).train()
    assert isinstance(model, HyperIQA)
    assert model(torch.rand(1, 3, 64, 64)).shape == (1,)
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert model.get_submodule("head.hypernet").sizes == (28, 14, 7)


def test_pretrained_takes_a_backbone_or_the_whole_model(tmp_path: Path) -> None:
    source: Any = HyperIQA(**SMALL)
    torch.save(source.backbone.body.state_dict(), tmp_path / "resnet18.pth")
    torch.save(source.state_dict(), tmp_path / "whole.pth")
    for name, whole in (("resnet18.pth", False), ("whole.pth", True)):
        model: Any = HyperIQA(**SMALL, pretrained=str(tmp_path / name))
        assert torch.equal(model.backbone.body.conv1.weight, source.backbone.body.conv1.weight)
        own, other = model.neck.local.reduce[0].weight, source.neck.local.reduce[0].weight
        assert torch.equal(own, other) is whole


@pytest.mark.parametrize("kind", [HyperIQA, MSHyperIQA, SwinHyperIQA])
def test_true_asks_for_imagenet_weights(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def get_model(arch: str, weights: Any) -> Any:
        asked.append((arch, weights))
        raise OSError("no network")

    monkeypatch.setattr("torchvision.models.get_model", get_model)
    with pytest.raises(ModelError, match="cannot be downloaded"):
        kind(pretrained=True)
    assert asked == [("swin_t" if kind is SwinHyperIQA else "resnet50", "DEFAULT")]


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="100 x 224 weights between two layers do not fill"):
        HyperIQA(**{**SMALL, "target_sizes": (224, 100)})
    with pytest.raises(ConfigError, match="score_range: expected a list of two numbers"):
        HyperIQA(**SMALL, score_range=(1,))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [HyperIQA, MSHyperIQA, SwinHyperIQA])
def test_a_full_size_step_at_224_px(kind: Any) -> None:
    torch.manual_seed(0)
    model = kind().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    images, target = torch.rand(2, 3, 224, 224), torch.tensor([0.2, 0.8])
    loss = F.l1_loss(model(images), target)
    loss.backward()
    lacking = [n for n, p in model.named_parameters() if p.grad is None]
    assert lacking == []
    optimizer.step()
    assert torch.isfinite(model.eval()(images)).all()


@pytest.mark.parametrize("name", ["hyperiqa", "ms_hyperiqa", "swin_hyperiqa"])
def test_the_base_configs_name_what_exists(name: str) -> None:
    path = Path(__file__).resolve().parents[3] / "config" / "_base_" / "models" / f"{name}.py"
    config = runpy.run_path(str(path))["model"]
    check_model(config)
    with torch.device("meta"):
        build_model({**config, "pretrained": False})
