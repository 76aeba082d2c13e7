from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from mmpretrain.models import ImageClassifier

from cliqa.models.build import build_model, check_model
from cliqa.models.quality_model import QualityModel
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

BACKBONE = {"type": "ResNet", "depth": 18, "base_channels": 4}
CLASSIFIER: dict[str, Any] = {
    "backbone": BACKBONE,
    "neck": {"type": "GlobalAveragePooling"},
    "head": {
        "type": "LinearClsHead",
        "num_classes": 5,
        "in_channels": 32,
        "loss": {"type": "CrossEntropyLoss", "loss_weight": 1.0},
    },
}
QUALITY = {
    "type": "QualityModel",
    "backbone": BACKBONE,
    "head": {"type": "LinearScoreHead", "in_channels": 32},
}


def test_a_config_without_a_type_is_mmpretrains_classifier() -> None:
    model = build_model(CLASSIFIER)
    assert isinstance(model, ImageClassifier)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_a_typed_config_is_that_model() -> None:
    model = build_model(QUALITY)
    assert isinstance(model, QualityModel)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2,)


@pytest.mark.parametrize("config", [CLASSIFIER, QUALITY])
def test_the_config_is_left_as_it_is(config: dict[str, Any]) -> None:
    before = copy.deepcopy(config)
    build_model(config)
    assert config == before


@pytest.mark.parametrize("config", [CLASSIFIER, QUALITY])
def test_the_weights_are_initialised_and_follow_the_seed(config: dict[str, Any]) -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build_model(config).state_dict())
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    weight = "backbone.conv1.weight"
    assert not torch.equal(states[0][weight], states[2][weight])
    fan_out = 64 * 7 * 7  # kaiming_normal with mode='fan_out', as mmpretrain's ResNet asks for
    assert states[0][weight].std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)


@pytest.mark.parametrize("config", [CLASSIFIER, QUALITY])
def test_copies_and_pickles_give_the_same_output(config: dict[str, Any]) -> None:
    model = build_model(config).eval()
    images = torch.rand(1, 3, 32, 32)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin(images), model(images), rtol=0, atol=0)


def test_pretrained_weights_of_a_classifier_are_checked(tmp_path: Path) -> None:
    source: Any = build_model(CLASSIFIER)
    torch.save(source.state_dict(), tmp_path / "a.pth")
    model: Any = build_model(CLASSIFIER | {"pretrained": str(tmp_path / "a.pth")})
    assert torch.equal(model.backbone.conv1.weight, source.backbone.conv1.weight)
    torch.save({"unrelated": torch.zeros(3)}, tmp_path / "b.pth")
    with pytest.raises(ModelError, match=r"b\.pth: 0 of the model's"):
        build_model(CLASSIFIER | {"pretrained": str(tmp_path / "b.pth")})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("ResNet", r"model: expected dict\(type=\.\.\.\) for a model, got 'ResNet'"),
        ({"head": {"type": "LinearScoreHead"}}, "model: no 'type'"),
        ({"type": "QualtyModel"}, "model: unknown model 'QualtyModel'.*'QualityModel'"),
        (QUALITY | {"necks": None}, "model 'QualityModel': unexpected argument 'necks'.*'neck'"),
        (QUALITY | {"head": {"type": "LinearClsHead"}}, r"model\.head .* missing .*num_classes"),
        (CLASSIFIER | {"backbone": {"type": "ResNt"}}, r"model\.backbone: unknown.*'ResNet'"),
        (QUALITY | {"backbone": BACKBONE | {"depth": 19}}, "model.*: invalid depth 19 for resnet"),
        ({"type": "LinearScoreHead", "in_channels": "x"}, "model 'LinearScoreHead': "),
    ],
)
def test_a_wrong_config_is_named_by_its_key_path(config: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(config)


def test_checking_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: QualityModel, **arguments: Any) -> None:
        raise AssertionError("built")

    check_model(CLASSIFIER)
    monkeypatch.setattr(QualityModel, "forward", fail)
    check_model(QUALITY)
    with pytest.raises(
        ConfigError, match=r"net\.head 'LinearScoreHead': unexpected argument 'dim'"
    ):
        check_model(QUALITY | {"head": {"type": "LinearScoreHead", "dim": 3}}, "net")


def test_another_object_than_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS.module_dict, "Fake", dict)
    with pytest.raises(ConfigError, match="model 'Fake': is not a model but a dict"):
        build_model({"type": "Fake"})


def test_a_constructors_runtime_error_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("negative dimension -1")

    monkeypatch.setitem(MODELS.module_dict, "Fake", fail)
    with pytest.raises(ConfigError, match="model 'Fake': negative dimension -1"):
        build_model({"type": "Fake"})
