from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.build import build_model
from cliqa.models.feature_classifier import FeatureClassifier
from cliqa.models.weights.start import start_from
from cliqa.utils.errors import ConfigError, ModelError

CONFIG: dict[str, Any] = {"type": "FeatureClassifier", "in_channels": 8, "num_classes": 3}
COSINE = {"type": "CosineClsHead", "num_classes": 3, "in_channels": 8}


def features(size: int = 5) -> torch.Tensor:
    return torch.randn(size, 8, generator=torch.Generator().manual_seed(0))


def test_without_a_hidden_layer_it_is_linear() -> None:
    model: Any = build_model(CONFIG)
    fc = model.head.fc
    assert torch.equal(model.extract_feat(features())[0], features())
    torch.testing.assert_close(model(features()), features() @ fc.weight.T + fc.bias)


def test_hidden_layers_are_a_perceptron() -> None:
    model: Any = build_model({**CONFIG, "hidden": (16, 4)})
    first, second = (layer[0] for layer in model.backbone)
    wanted = second(first(features()).relu()).relu()
    torch.testing.assert_close(model.extract_feat(features())[0], wanted)
    torch.testing.assert_close(model(features()), model.head.fc(wanted))
    assert [first.out_features, second.out_features] == [16, 4]


@pytest.mark.parametrize("kind", ["CosineClsHead", "PrototypeHead", "LinearClsHead"])
def test_any_head_fits(kind: str) -> None:
    model: Any = build_model({**CONFIG, "head": {**COSINE, "type": kind}})
    assert type(model.head).__name__ == kind
    assert model(features()).shape == (5, 3)


def test_the_state_makes_the_round_trip() -> None:
    source, twin = FeatureClassifier(8, 3, hidden=(4,)), FeatureClassifier(8, 3, hidden=(4,))
    twin.load_state_dict(source.state_dict())
    assert torch.equal(twin(features()), source(features()))


def test_its_parts_are_named_as_a_classifiers(tmp_path: Any) -> None:
    source, model = FeatureClassifier(8, 7, hidden=(4,)), FeatureClassifier(8, 3, hidden=(4,))
    torch.save(source.state_dict(), tmp_path / "a.pth")
    start_from(model, {"path": tmp_path / "a.pth", "drop": ["head"], "freeze": ["backbone"]})
    assert torch.equal(model.extract_feat(features())[0], source.extract_feat(features())[0])


def test_other_inputs_are_refused() -> None:
    model: nn.Module = FeatureClassifier(8, 3)
    with pytest.raises(
        ModelError, match=r"shape \(2, 3, 32, 32\)\. For images .*scenario\.feature"
    ):
        model(torch.zeros(2, 3, 32, 32))
    with pytest.raises(
        ModelError, match=r"\(B, 8\), got inputs of shape \(2, 9\)\. Set in_channel"
    ):
        model(torch.zeros(2, 9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "FeatureClassifier: num_classes must be above 0, got 0"),
        ({"hidden": (4, 0)}, "FeatureClassifier: hidden must be above 0, got 0"),
        (
            {"hidden": (4,), "head": COSINE},
            "in_channels=8, but the FeatureClassifier has in_c",
        ),
        ({"head": {**COSINE, "num_classes": 4}}, "'CosineClsHead': num_classes=4, but the .*=3"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model({**CONFIG, **options})
