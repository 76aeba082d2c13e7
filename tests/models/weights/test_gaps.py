"""What of a backbone a file leaves random, on real architectures of a small size."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cliqa.models.build import build_model
from cliqa.models.hyperiqa.hyperiqa import HyperIQA
from cliqa.models.lora.adapters import inject
from cliqa.models.weights.gaps import learnt
from cliqa.models.weights.start import start_from
from cliqa.models.weights.weights import load_weights
from cliqa.utils.errors import ModelError


def quality(kind: str = "ResNet", depth: int = 18, head: str = "LinearScoreHead") -> Any:
    backbone = {"type": kind, "depth": depth, "base_channels": 4, "stem_channels": 4}
    channels = 128 if depth > 34 else 32
    return build_model(
        {
            "type": "QualityModel",
            "backbone": backbone,
            "head": {"type": head, "in_channels": channels},
        }
    )


def saved(path: Path, state: dict[str, Tensor], name: str = "start.pth") -> Path:
    torch.save(state, path / name)
    return path / name


def equal(model: nn.Module, other: nn.Module) -> bool:
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def other_stem(tmp_path: Path) -> Path:
    """Return the file of a network whose stem has names that no layout knows."""
    state = quality("ResNetV1d").backbone.state_dict()
    state = {name.replace("stem.", "beginning."): tensor for name, tensor in state.items()}
    return saved(tmp_path, {**state, "fc.weight": torch.zeros(10, 32), "fc.bias": torch.zeros(10)})


def test_a_stem_under_other_names_is_refused(tmp_path: Path) -> None:
    path, model, twin = other_stem(tmp_path), quality("ResNetV1d"), quality("ResNetV1d")
    twin.load_state_dict(model.state_dict())
    with pytest.raises(
        ModelError,
        match=r"15 of the QualityModel's 112 trained tensors would stay random "
        r"\(backbone\.stem\.0\.\* \(5\), backbone\.stem\.1\.\* \(5\), backbone\.stem\.2\.\* "
        r"\(5\), such as backbone\.stem\.0\.conv\.weight\)",
    ):
        load_weights(model, path, drop=["head"])
    assert equal(model, twin)


def test_the_advice_for_a_random_stem_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = other_stem(tmp_path)
    with pytest.raises(
        ModelError,
        match=r"name what starts anew: .*, drop=\['backbone\.stem', 'head'\]\)\. strict=",
    ):
        start_from(quality("ResNetV1d"), path)
    with caplog.at_level(logging.INFO):
        options = {"path": path, "drop": ["backbone.stem", "head"]}
        dropped = start_from(quality("ResNetV1d"), options)
        anyway = start_from(quality("ResNetV1d"), {"path": path, "strict": False})
    assert not dropped.weights.random
    assert len(anyway.weights.random) == 17
    assert caplog.records[1].levelname == "WARNING"


@pytest.mark.parametrize(
    ("source", "model", "message"),
    [
        (("SEResNet", 50), ("ResNet", 50), r"file's weights have no place .*se_layer"),
        (("ResNet", 50), ("SEResNet", 50), r"stay random .*backbone"),
        (("ResNet", 34), ("ResNet", 18), r"file's weights have no place .*layer1"),
        (("ResNet", 18), ("ResNet", 34), r"stay random .*layer1"),
    ],
)
def test_another_architecture_is_refused_though_much_fits(
    source: Any, model: Any, message: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, quality(*source).backbone.state_dict())
    with pytest.raises(ModelError, match=message):
        start_from(quality(*model), {"path": path, "drop": ["head"]})
    assert start_from(quality(*model), {"path": path, "strict": False}).weights.is_doubtful


def test_running_statistics_are_learnt_too(tmp_path: Path) -> None:
    state = quality().state_dict()
    del state["backbone.layer2.0.bn1.running_var"]
    with pytest.raises(ModelError, match=r"stay random \(backbone\.layer2\.0\.bn1\.running_var\)"):
        load_weights(quality(), saved(tmp_path, state))
    counters = {n: t for n, t in quality().state_dict().items() if not n.endswith("tracked")}
    assert not load_weights(quality(), saved(tmp_path, counters)).is_doubtful


def test_a_new_head_that_is_named_is_no_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = quality()
    files = [
        saved(tmp_path, source.backbone.state_dict(), "backbone.pth"),
        saved(tmp_path, source.state_dict(), "model.pth"),
        saved(tmp_path, {f"module.{n}": t for n, t in source.state_dict().items()}, "ddp.pth"),
    ]
    with caplog.at_level(logging.INFO):
        for path in files:
            model = quality(head="CosineScoreHead")
            load_weights(model, path, drop=["head"])
            assert equal(model.backbone, source.backbone)
    assert [r.levelname for r in caplog.records] == ["INFO"] * 3


def test_torchvisions_weights_start_a_hyper_network_without_noise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path, torchvision.models.resnet50(weights=None).state_dict())
    with caplog.at_level(logging.INFO):
        report = start_from(HyperIQA(), {"path": path, "drop": ["neck", "head"]}).weights
    assert len(report.dropped) == 37  # the hyper network is new
    assert [r.levelname for r in caplog.records] == ["INFO"]
    with pytest.raises(ModelError, match=r"stay random \(neck\..*drop=\['head', 'neck'\]\)"):
        start_from(HyperIQA(), path)


def test_layers_that_a_backbone_has_left_out_may_be_in_a_file(tmp_path: Path) -> None:
    path = saved(tmp_path, torchvision.models.regnet_y_400mf(weights=None).state_dict())
    model: Any = build_model(
        {
            "type": "QualityModel",
            "backbone": {
                "type": "TorchvisionBackbone",
                "arch": "regnet_y_400mf",
                "nodes": ["trunk_output.block2"],
            },
            "head": {"type": "LinearScoreHead", "in_channels": 104},
        }
    )
    load_weights(model, path, drop=["head"])
    load_weights(model, path, backbone_alone=True)


def test_adapters_change_nothing_until_they_are_trained(tmp_path: Path) -> None:
    source, adapted = quality(), quality()
    path = saved(tmp_path, source.state_dict())
    inject(adapted, exclude=["head"])
    load_weights(adapted, path)
    learnt = saved(tmp_path, adapted.state_dict(), "adapted.pth")
    with pytest.raises(ModelError, match=r"no place .*lora_A"):
        load_weights(quality(), learnt)


def test_a_vision_transformer_of_another_image_size(tmp_path: Path) -> None:
    arch = {"embed_dims": 32, "num_layers": 1, "num_heads": 2, "feedforward_channels": 64}

    def transformer(edge: int, width: int = 32) -> Any:
        sizes = {**arch, "embed_dims": width}
        backbone = {"type": "VisionTransformer", "arch": sizes, "img_size": edge, "patch_size": 8}
        head = {"type": "LinearScoreHead", "in_channels": width}
        return build_model({"type": "QualityModel", "backbone": backbone, "head": head})

    source, model = transformer(32), transformer(48)
    report = load_weights(model, saved(tmp_path, source.backbone.state_dict()), drop=["head"])
    assert "resized pos_embed" in str(report)
    before, after = source.backbone.pos_embed, model.backbone.pos_embed
    assert torch.equal(after[:, 0], before[:, 0])  # the class token has no place
    grids = [
        p[:, 1:].unflatten(1, (e, e)).permute(0, 3, 1, 2) for p, e in ((before, 4), (after, 6))
    ]
    expected = nn.functional.interpolate(grids[0], (6, 6), mode="bicubic", align_corners=False)
    torch.testing.assert_close(grids[1], expected)
    with pytest.raises(ModelError, match="17 of them because of another shape"):
        load_weights(transformer(48, 64), tmp_path / "start.pth")


def test_what_was_learnt_is_told_from_what_is_computed() -> None:
    ridge: Any = build_model({"type": "RidgeHead", "in_channels": 3})
    whole = nn.ModuleDict({"backbone": nn.BatchNorm2d(3), "head": ridge})
    found = learnt(whole, whole.state_dict())
    assert {"backbone.weight", "backbone.running_mean", "head.weight", "head.mean"} <= {*found}
    assert "backbone.num_batches_tracked" not in found
    swin = torchvision.models.swin_t(weights=None)
    computed = {name for name in swin.state_dict() if name not in learnt(swin, swin.state_dict())}
    assert {name.rpartition(".")[2] for name in computed} == {"relative_position_index"}


def test_an_init_cfg_of_another_architecture_is_refused(tmp_path: Path) -> None:
    def model(depth: int, **init: Any) -> Any:
        backbone = {"type": "ResNet", "depth": depth, "base_channels": 4, "stem_channels": 4}
        backbone["init_cfg"] = {"type": "Pretrained", **init}
        head = {"type": "LinearScoreHead", "in_channels": 32}
        return build_model({"type": "QualityModel", "backbone": backbone, "head": head})

    source = quality()
    path = str(saved(tmp_path, source.state_dict()))
    for init in ({"checkpoint": path}, {"checkpoint": path, "prefix": "backbone"}):
        assert equal(model(18, **init).backbone, source.backbone)
        with pytest.raises(ModelError, match=r"80 of the ResNet's 180 trained tensors would stay"):
            model(34, **init)
