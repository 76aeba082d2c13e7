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
from cliqa.models.weights.gaps import of_backbone
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


STEM = {"stem.0.conv": "conv1.0", "stem.0.bn": "conv1.1", "stem.1.conv": "conv1.3"}
STEM |= {"stem.1.bn": "conv1.4", "stem.2.conv": "conv1.6", "stem.2.bn": "bn1"}


def timm_name(name: str) -> str:
    """Return timm's name of a tensor of ResNet-D."""
    own = next((o for o in STEM if name.startswith(f"{o}.")), None)
    return name if own is None else STEM[own] + name[len(own) :]


def resnet_d(tmp_path: Path) -> Path:
    state = {timm_name(n): t for n, t in quality("ResNetV1d").backbone.state_dict().items()}
    return saved(tmp_path, {**state, "fc.weight": torch.zeros(10, 32), "fc.bias": torch.zeros(10)})


def test_a_stem_under_other_names_is_refused(tmp_path: Path) -> None:
    path, model, twin = resnet_d(tmp_path), quality("ResNetV1d"), quality("ResNetV1d")
    twin.load_state_dict(model.state_dict())
    with pytest.raises(
        ModelError, match=r"15 of the \d+ tensors of its backbone stay random \(\d\.\d% of its val"
    ):
        load_weights(model, path)
    assert equal(model, twin)


def test_the_advice_for_a_random_stem_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = resnet_d(tmp_path)
    with pytest.raises(
        ModelError, match=r"drop=\['backbone\.stem'\] reinitialises that .*least_matched=0"
    ):
        start_from(quality("ResNetV1d"), path)
    with caplog.at_level(logging.INFO):
        dropped = start_from(quality("ResNetV1d"), {"path": path, "drop": ["backbone.stem"]})
        anyway = start_from(quality("ResNetV1d"), {"path": path, "least_matched": 0})
    assert not dropped.weights.random
    assert len(anyway.weights.random) == 15
    assert "stay random" not in caplog.records[0].getMessage()
    assert caplog.records[1].levelname == "WARNING"
    assert "15 of the 110 tensors of its backbone stay random" in caplog.records[1].getMessage()


@pytest.mark.parametrize(
    ("source", "model", "message"),
    [
        (("SEResNet", 50), ("ResNet", 50), r"no place for \d+ of the file's weights .*se_layer"),
        (("ResNet", 50), ("SEResNet", 50), r"stay random .*se_layer"),
        (("ResNet", 34), ("ResNet", 18), r"no place for \d+ of the file's weights .*layer1\.2"),
        (("ResNet", 18), ("ResNet", 34), r"stay random .*layer1\.2"),
    ],
)
def test_another_architecture_is_refused_though_much_fits(
    source: Any, model: Any, message: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, quality(*source).backbone.state_dict())
    with pytest.raises(ModelError, match=message):
        start_from(quality(*model), {"path": path, "least_matched": 0.1})
    assert start_from(quality(*model), {"path": path, "least_matched": 0}).weights.is_doubtful


def test_running_statistics_are_learnt_too(tmp_path: Path) -> None:
    state = quality().state_dict()
    del state["backbone.layer2.0.bn1.running_var"]
    with pytest.raises(ModelError, match=r"1 of the 100 tensors of its backbone stay random"):
        load_weights(quality(), saved(tmp_path, state))
    counters = {n: t for n, t in quality().state_dict().items() if not n.endswith("tracked")}
    assert not load_weights(quality(), saved(tmp_path, counters)).is_doubtful


def test_a_new_head_or_neck_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = quality()
    files = [
        saved(tmp_path, source.backbone.state_dict(), "backbone.pth"),
        saved(tmp_path, source.state_dict(), "model.pth"),
        saved(tmp_path, {f"module.{n}": t for n, t in source.state_dict().items()}, "ddp.pth"),
    ]
    with caplog.at_level(logging.INFO):
        for path in files:
            model = quality(head="CosineScoreHead")
            load_weights(model, path)
            assert equal(model.backbone, source.backbone)
    assert [r.levelname for r in caplog.records] == ["INFO"] * 3


def test_torchvisions_weights_start_a_hyper_network_without_noise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path, torchvision.models.resnet50(weights=None).state_dict())
    with caplog.at_level(logging.INFO):
        report = start_from(HyperIQA(), path).weights
    assert report.fraction < 0.9  # the hyper network is new
    assert [r.levelname for r in caplog.records] == ["INFO"]


def test_a_head_of_which_a_part_is_missing_is_warned_of(tmp_path: Path) -> None:
    source = quality(head="CosineScoreHead")
    state = {n: t for n, t in source.state_dict().items() if n != "head.direction"}
    report = load_weights(quality(head="CosineScoreHead"), saved(tmp_path, state))
    assert report.partial == ("head",)
    assert report.is_doubtful
    assert "of head a part only" in str(report)


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
    assert not load_weights(model, path).gaps


def test_adapters_change_nothing_until_they_are_trained(tmp_path: Path) -> None:
    source, adapted = quality(), quality()
    path = saved(tmp_path, source.state_dict())
    inject(adapted, exclude=["head"])
    assert not load_weights(adapted, path).gaps
    learnt = saved(tmp_path, adapted.state_dict(), "adapted.pth")
    with pytest.raises(ModelError, match=r"no place for .*lora_A"):
        load_weights(quality(), learnt)


def test_a_vision_transformer_of_another_image_size(tmp_path: Path) -> None:
    arch = {"embed_dims": 32, "num_layers": 1, "num_heads": 2, "feedforward_channels": 64}

    def transformer(edge: int, width: int = 32) -> Any:
        sizes = {**arch, "embed_dims": width}
        backbone = {"type": "VisionTransformer", "arch": sizes, "img_size": edge, "patch_size": 8}
        head = {"type": "LinearScoreHead", "in_channels": width}
        return build_model({"type": "QualityModel", "backbone": backbone, "head": head})

    source, model = transformer(32), transformer(48)
    report = load_weights(model, saved(tmp_path, source.backbone.state_dict()))
    assert not report.gaps
    assert "resized pos_embed" in str(report)
    before, after = source.backbone.pos_embed, model.backbone.pos_embed
    assert torch.equal(after[:, 0], before[:, 0])  # the class token has no place
    grids = [
        p[:, 1:].unflatten(1, (e, e)).permute(0, 3, 1, 2) for p, e in ((before, 4), (after, 6))
    ]
    expected = nn.functional.interpolate(grids[0], (6, 6), mode="bicubic", align_corners=False)
    torch.testing.assert_close(grids[1], expected)
    with pytest.raises(ModelError, match="of another shape"):
        load_weights(transformer(48, 64), tmp_path / "start.pth")


def test_a_models_parts_are_distinguished() -> None:
    whole, bare = quality(), torchvision.models.resnet18(weights=None)
    own = set(of_backbone(whole, whole.state_dict()))
    assert own
    assert all(n.startswith("backbone.") and not n.endswith("tracked") for n in own)
    assert {n for n in bare.state_dict() if n not in of_backbone(bare, bare.state_dict())} == {
        "fc.weight",
        "fc.bias",
        *(n for n in bare.state_dict() if n.endswith("num_batches_tracked")),
    }


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
        with pytest.raises(ModelError, match=r"80 of the 180 tensors of its backbone stay random"):
            model(34, **init)
