from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.models.build import build_model
from cliqa.models.freezing import set_training
from cliqa.models.weights.start import check_start, start_from
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError

BACKBONE = {"type": "ResNet", "depth": 18, "base_channels": 4}


def classifier(classes: int = 3) -> Any:
    return build_model(
        {
            "backbone": BACKBONE,
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearClsHead", "num_classes": classes, "in_channels": 32},
        }
    )


@pytest.fixture
def source() -> Any:
    return classifier(classes=7)


@pytest.fixture
def path(tmp_path: Path, source: Any) -> Path:
    torch.save(source.state_dict(), tmp_path / "start.pth")
    return tmp_path / "start.pth"


@pytest.mark.parametrize("kind", [str, Path, lambda p: {"path": str(p)}])
def test_a_path_is_all_that_is_needed(path: Path, source: Any, kind: Any) -> None:
    model = classifier(classes=7)
    report = start_from(model, kind(path))
    assert torch.equal(model.head.fc.weight, source.head.fc.weight)
    assert report.weights.fraction == 1
    assert not hasattr(model, "frozen")
    assert all(p.requires_grad for p in model.parameters())


def test_another_head_is_dropped_and_the_backbone_frozen(path: Path, source: Any) -> None:
    model = classifier()
    head = model.head.fc.weight.clone()
    report = start_from(model, {"path": path, "drop": ["head"], "freeze": ["backbone"]})
    assert torch.equal(model.backbone.conv1.weight, source.backbone.conv1.weight)
    assert torch.equal(model.head.fc.weight, head)
    assert report.weights.dropped == ("head.fc.weight", "head.fc.bias")
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained == ["head.fc.weight", "head.fc.bias"]
    assert str(report) == (
        f"load_from {path}: 126 of the model's 126 tensors matched; "
        "2 dropped (head.fc.weight, head.fc.bias); froze 63 of 65 parameter tensors "
        f"({report.frozen.values:,} of {report.frozen.all_values:,} values): backbone"
    )


def test_frozen_statistics_do_not_learn_in_training_mode(path: Path) -> None:
    model = classifier()
    start_from(model, {"path": path, "drop": ["head"], "freeze": ["backbone.layer1", "*.bn1"]})
    twin = copy.deepcopy(model)
    assert twin.state_dict().keys() == classifier().state_dict().keys()
    for trained in (model, twin):
        set_training(trained)
        trained(torch.rand(2, 3, 32, 32))
        assert trained.backbone.layer1[0].bn2.num_batches_tracked == 0
        assert trained.backbone.bn1.num_batches_tracked == 0
        assert trained.backbone.layer2[0].bn2.num_batches_tracked == 1


def test_what_the_model_froze_itself_stays_frozen(tmp_path: Path) -> None:
    config = {
        "type": "QualityModel",
        "backbone": BACKBONE,
        "head": {"type": "LinearScoreHead", "in_channels": 32},
        "freeze": ["backbone.bn1", "head.fc.bias"],
    }
    model: Any = build_model(config)
    torch.save(model.state_dict(), tmp_path / "a.pth")
    report = start_from(model, {"path": tmp_path / "a.pth", "freeze": ["backbone.layer1"]})
    assert report.frozen.modules == ("backbone.bn1", "backbone.layer1")
    assert report.frozen.tensors == sum(not p.requires_grad for p in model.parameters())
    for mode in (model.train, lambda: set_training(model)):
        mode()
        assert not model.backbone.bn1.training
        assert not model.backbone.layer1.training
        assert model.backbone.layer2.training


def test_a_runs_checkpoint_gives_its_model(tmp_path: Path, source: Any) -> None:
    anchors = {name: p * 0 for name, p in source.state_dict().items()}
    strategy = {"plugins": {"0.L2": {"anchors": anchors}}, "model": source.state_dict()}
    torch.save({"format": 1, "strategy": strategy}, tmp_path / "exp_0.pth")
    model = classifier(classes=7)
    start_from(model, tmp_path / "exp_0.pth")
    assert torch.equal(model.head.fc.weight, source.head.fc.weight)


def test_a_trained_runs_checkpoint_gives_its_model(tiny_run: Path) -> None:
    path = tiny_run / "checkpoints" / "exp_0.pth"
    state = torch.load(path, weights_only=True)
    model = build_model(state["config"]["model"])
    assert start_from(model, path).weights.fraction == 1
    own = model.state_dict()
    assert all(torch.equal(own[name], value) for name, value in state["strategy"]["model"].items())


def test_the_report_is_plain_and_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        options = {"path": str(path), "strict": False, "freeze": ["backbone.bn1"]}
        report = start_from(classifier(), options)
    assert [record.getMessage() for record in caplog.records] == [str(report)]
    row = json.loads(json.dumps(report.to_dict()))
    assert row["path"] == str(path)
    assert (row["loaded"], row["tensors"]) == (126, 128)
    assert row["mismatched"] == ["head.fc.weight", "head.fc.bias"]
    assert row["missing"] == row["unexpected"] == row["dropped"] == []
    assert row["frozen"] == {"modules": ["backbone.bn1"], "tensors": 2, "values": 128}


def test_many_left_over_tensors_are_a_warning(
    tmp_path: Path, source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({"backbone.bn1.bias": torch.ones(64), "x": torch.ones(1)}, tmp_path / "a.pth")
    with caplog.at_level(logging.INFO):
        start_from(classifier(), {"path": tmp_path / "a.pth", "strict": False})
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": ["haed"]}, r"load_from\.drop: 'haed' names no part.* Did you mean 'head'\?"),
        ({"freeze": ["backbne"]}, r"load_from\.freeze: 'backbne' names no part.*'backbone'\?"),
        ({}, r"2 of the ImageClassifier's .* 2 of them because of another .*drop=\['head'\]\)"),
        ({"prefix": "teacher"}, "holds no named tensors below 'teacher'"),
    ],
)
def test_what_does_not_fit_leaves_the_model_alone(
    path: Path, options: dict[str, Any], message: str
) -> None:
    model = classifier()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match=message):
        start_from(model, {"path": path, **options})
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        start_from(classifier(), tmp_path / "gone.pth")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, r"load_from: expected a path or dict\(path=\.\.\., drop=.*, got 3"),
        ("", r"load_from\.path: expected the path of a file of weights, got ''"),
        ({}, r"load_from\.path: expected the path of a file of weights, got None"),
        ({"path": "a", "droop": []}, "unknown key 'droop'. Did you mean 'drop'. It accepts path,"),
        ({"path": "a", "drop": "head"}, r"load_from\.drop: expected a list of strings, got 'head'"),
        ({"path": "a", "freeze": [1]}, r"load_from\.freeze: expected a list of strings, got \[1\]"),
        ({"path": "a", "prefix": None}, r"load_from\.prefix: expected a string, got None"),
        ({"path": "a", "strict": 3}, r"load_from\.strict: expected true or false, got 3"),
        (
            {"path": "a", "least_matched": 0},
            r"load_from\.least_matched: all .* strict=False in its",
        ),
    ],
)
def test_a_wrong_form_is_refused_without_the_file(source: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_start(source)


def test_the_form_is_checked_without_the_file() -> None:
    check_start("no/such/file.pth")
    check_start({"path": "no/such/file.pth", "drop": ("head",), "freeze": [], "strict": False})
