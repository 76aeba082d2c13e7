from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import StochasticDepth

from cliqa.models.build import build_model, check_model
from cliqa.models.hyperiqa.hyperiqa import HyperIQA, MSHyperIQA, SwinHyperIQA, set_drop_path
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
SMALL_RESNET = {
    "type": "ResNet",
    "depth": 18,
    "base_channels": 4,
    "stem_channels": 4,
    "out_indices": (0, 1, 2, 3),
}
SMALL_MS = {**SMALL, "backbone": SMALL_RESNET, "pyramid_channels": 8, "attention_reduction": 2}
del SMALL_MS["hidden"]
SMALL_SWIN = {**SMALL, "backbone": SMALL_RESNET, "target_sizes": (28, 14, 14, 7, 7)}


def test_hyperiqa_has_the_published_parameters() -> None:
    with torch.device("meta"):
        model: Any = HyperIQA()
    assert sum(p.numel() for p in model.parameters()) == 27_375_369
    assert sum(p.numel() for p in model.backbone.parameters()) == 23_508_032


def test_a_small_hyperiqa_is_built_from_a_config() -> None:
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

    def get_model(arch: str, weights: Any, progress: bool) -> Any:
        assert not progress  # no bar of a download where there is no terminal
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


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [({}, 27_633_967), ({"attention": False}, 27_633_967 - 24_870)],
)
def test_ms_hyperiqa_has_the_published_parameters(
    arguments: dict[str, Any], parameters: int
) -> None:
    with torch.device("meta"):
        model = MSHyperIQA(**arguments)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_dropout_stands_behind_the_first_layer_of_the_target_net_alone() -> None:
    model: Any = build_model({"type": "MSHyperIQA", **SMALL_MS})
    probabilities = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert sorted(probabilities) == [0.0, 0.5]
    assert (model.head.target_net.dropout.p, model.head.target_net.dropped) == (0.5, 1)
    images = torch.rand(2, 3, 48, 48)
    model.backbone.eval()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_more_levels_than_maps_are_refused() -> None:
    with pytest.raises(ConfigError, match="levels=5, but the backbone gives 4 maps"):
        MSHyperIQA(**SMALL_MS, levels=5)


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"size": "tiny"}, 29_521_479),
        ({"size": "small"}, 50_839_383),
        ({"size": "base"}, 89_111_941),
        ({"size": "tiny", "attention": False}, 29_521_479 - 197_892),
        (
            {"size": "tiny", "attention": False, "multi_scale": False},
            29_521_479 - 197_892 - 897_904 + 553_840,
        ),
        ({"size": "base", "attention": False}, 89_111_941 - 263_428),
    ],
)
def test_swin_hyperiqa_has_the_published_parameters(
    arguments: dict[str, Any], parameters: int
) -> None:
    with torch.device("meta"):
        model = SwinHyperIQA(**arguments)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("size", "dropout", "drop_path"),
    [("tiny", 0.3, 0.2), ("small", 0.35, 0.25), ("base", 0.4, 0.3)],
)
def test_each_size_has_its_dropouts(size: str, dropout: float, drop_path: float) -> None:
    with torch.device("meta"):
        model: Any = SwinHyperIQA(size)
    assert model.head.dropout.p == model.head.target_net.dropout.p == dropout
    assert model.head.target_net.dropped == 3
    rates = [m.p for m in model.modules() if isinstance(m, StochasticDepth)]
    assert len(rates) == (12 if size == "tiny" else 24)
    torch.testing.assert_close(
        torch.tensor(rates), torch.linspace(0, drop_path, len(rates)), atol=1e-6, rtol=0
    )


def test_dropouts_can_be_set() -> None:
    with torch.device("meta"):
        model: Any = SwinHyperIQA(dropout=0.1, drop_path=0.0, attention_dropout=0.2)
    assert model.head.dropout.p == 0.1
    assert model.neck.fusion.attention.net[2].p == 0.2
    assert all(m.p == 0 for m in model.modules() if isinstance(m, StochasticDepth))


def test_a_small_swin_hyperiqa_is_built_from_a_config() -> None:
    model = build_model({"type": "SwinHyperIQA", **SMALL_SWIN}).eval()
    assert model(torch.rand(1, 3, 64, 64)).shape == (1,)


def test_the_transformer_sees_any_size() -> None:
    model = SwinHyperIQA(hyper_channels=8, target_sizes=(56, 14, 7), hidden=(16,)).eval()
    with torch.no_grad():
        for size in ((64, 64), (72, 100)):
            assert torch.isfinite(model(torch.rand(1, 3, *size))).all()


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"got 'tny'\. Did you mean 'tiny'\?"):
        SwinHyperIQA("tny")
    with pytest.raises(ConfigError, match="attention=True weights scales"):
        SwinHyperIQA(**SMALL_SWIN, multi_scale=False)
    with pytest.raises(ConfigError, match=r"drop_path belongs to the Swin .* leave drop_path out"):
        SwinHyperIQA(**SMALL_SWIN, drop_path=0.1)
    with pytest.raises(ConfigError, match=r"drop_path must lie in 0\.\.1, below 1, got 1\.5"):
        set_drop_path(torch.nn.Linear(1, 1), 1.5)
