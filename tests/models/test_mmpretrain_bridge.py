from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.registry import WEIGHT_INITIALIZERS, Registry
from mmpretrain.models import ImageClassifier, ResNet
from mmpretrain.registry import MODELS as MMPRETRAIN
from torch import nn

from cliqa.config.trust import built_from, trusting
from cliqa.models import mmpretrain_bridge as bridge
from cliqa.registry import MODELS
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError, TrustError

RESNET = {"type": "ResNet", "depth": 18, "base_channels": 4}


def test_mmpretrains_models_are_found_after_ours() -> None:
    assert MODELS.get("ResNet") is ResNet
    assert MODELS.get("mmpretrain.ResNet") is ResNet
    assert MODELS.get("QualityModel") is not None
    assert {"QualityModel", "ResNet"} <= set(MODELS.names())


def test_linking_again_changes_nothing() -> None:
    bridge.link(MMPRETRAIN)
    assert MODELS.parent is MMPRETRAIN
    assert MMPRETRAIN.children["cliqa"] is MODELS


def test_mmpretrains_classes_find_our_parts_in_their_nested_configs() -> None:
    config = {
        "type": "ImageClassifier",
        "backbone": RESNET,
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearScoreHead", "in_channels": 32},
    }
    model = bridge.build_part(config, "model")
    assert isinstance(model, ImageClassifier)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2,)


def test_parts_are_initialised_once_and_quietly(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    with caplog.at_level(logging.INFO):
        init = {"type": "Constant", "layer": "Conv2d", "val": 0.25}
        part: Any = bridge.build_part(RESNET | {"init_cfg": init}, "model.backbone")
    assert part.is_init
    assert (part.conv1.weight == 0.25).all()
    before = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    bridge.initialise(part)
    assert all(torch.equal(before[name], tensor) for name, tensor in part.state_dict().items())
    assert capsys.readouterr() == ("", "")
    assert not caplog.messages


def test_a_module_without_init_weights_is_left_alone() -> None:
    layer = nn.Linear(2, 2)
    before = layer.weight.clone()
    bridge.initialise(layer)
    assert torch.equal(layer.weight, before)


def test_an_init_cfg_that_cannot_be_applied_is_named() -> None:
    init = {"type": "Pretrained", "checkpoint": "no/such/file.pth"}
    with pytest.raises(CheckpointError, match=r"no/such/file\.pth: no such checkpoint file"):
        bridge.build_part(RESNET | {"init_cfg": init}, "model.backbone")
    with pytest.raises(
        ModelError, match=r"ResNet: its init_cfg cannot be applied.*argument: 'val'.*pretrained='pa"
    ):
        bridge.build_part(RESNET | {"init_cfg": {"type": "Constant"}}, "model.backbone")


def test_a_wrong_part_is_named_by_its_key_path() -> None:
    with pytest.raises(ConfigError, match=r"model\.neck: unknown model 'GlobalPooling'"):
        bridge.build_part({"type": "GlobalPooling"}, "model.neck")
    with pytest.raises(ConfigError, match=r"model\.backbone 'ResNet': invalid depth 19"):
        bridge.build_part({"type": "ResNet", "depth": 19}, "model.backbone")


@pytest.mark.parametrize(
    ("error", "installed", "advice"),
    [
        (TypeError("NoneType takes no arguments"), True, "pip uninstall pycocotools"),
        (TypeError("NoneType takes no arguments"), False, "versions that requirements.txt names"),
        (ImportError("libGL.so.1: cannot open shared object file"), True, "apt-get install libgl1"),
        (ImportError("No module named 'mmcv'"), True, "versions that requirements.txt names"),
    ],
)
def test_a_failing_import_comes_with_its_remedy(
    error: Exception, installed: bool, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> ModuleType:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: SimpleNamespace() if installed else None
    )
    with pytest.raises(ModelError, match=rf"mmpretrain\.models cannot be imported .*{advice}"):
        bridge.import_mmpretrain()


def test_upstreams_own_look_ups_import_nothing_while_a_file_is_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some classes take a name at a key of their own and ask mmengine, which imports any name."""
    (tmp_path / "canary_of_look_ups.py").write_text("class Norm: ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    upstream, plain = MMPRETRAIN, Registry.get
    with bridge.model_scope():
        assert Registry.get is plain
    with built_from("x.pth"), bridge.model_scope():
        with pytest.raises(TrustError, match=r"model 'canary_of_look_ups\.Norm' of x\.pth is not"):
            upstream.get("canary_of_look_ups.Norm")
        assert upstream.get("canary_of_look_ups") is None
        for name in ("HuggingFaceClassifier", "mmpretrain.TimmClassifier", "CLIPGenerator"):
            with pytest.raises(TrustError, match=name):
                upstream.get(name)
        with pytest.raises(TrustError, match="'Pretrained'"):
            WEIGHT_INITIALIZERS.get("Pretrained")
        assert upstream.get("ResNet") is upstream.get("mmpretrain.ResNet") is ResNet
        assert upstream.get("BN") is torch.nn.BatchNorm2d
        assert WEIGHT_INITIALIZERS.get("Kaiming") is not None
    assert Registry.get is plain
    assert "canary_of_look_ups" not in sys.modules
    with trusting(), built_from("x.pth"), bridge.model_scope():
        assert upstream.get("canary_of_look_ups.Norm").__name__ == "Norm"


def test_a_file_may_name_backbones_of_every_kind() -> None:
    named = [name for name in MODELS.names() if MODELS.admits(name)]
    parts = {"ResNet", "SwinTransformer", "GlobalAveragePooling", "LinearClsHead", "QualityModel"}
    assert parts | {"BN", "LN2d", "GELU", "ClsDataPreprocessor", "ImageClassifier"} <= {*named}
    fetching = {"HuggingFaceClassifier", "TimmClassifier", "CLIPGenerator", "VQKD", "Flamingo"}
    assert fetching.isdisjoint(named)
