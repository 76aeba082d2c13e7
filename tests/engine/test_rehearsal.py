"""What would fail after minutes of training fails before it, with advice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.engine.build import build
from cliqa.engine.rehearsal import rehearse
from cliqa.utils.errors import CliqaError, ConfigError, DatasetError, ModelError

Config = dict[str, Any]
CPU = torch.device("cpu")


def test_a_good_config_passes_and_nothing_changes(tiny_config: Config) -> None:
    parts = build(tiny_config, CPU)
    before = {key: value.clone() for key, value in parts.model.state_dict().items()}
    torch.manual_seed(3)
    rehearse(parts)
    after = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(4))
    assert parts.model.training
    assert all(torch.equal(parts.model.state_dict()[key], before[key]) for key in before)


def test_a_head_of_the_wrong_width_is_found(tiny_config: Config) -> None:
    tiny_config["model"]["head"]["in_channels"] = 64
    with pytest.raises(CliqaError, match=r"in_channels"):
        rehearse(build(tiny_config, CPU))


def test_a_classifier_is_refused_for_scores(tiny_config: Config) -> None:
    tiny_config["model"]["type"] = "ImageClassifier"
    tiny_config["model"]["head"] = {"type": "LinearClsHead", "in_channels": 32, "num_classes": 5}
    with pytest.raises(ModelError, match=r"gives shape \(3, 5\) .*LinearScoreHead"):
        rehearse(build(tiny_config, CPU))


def test_training_images_of_many_sizes_are_refused(tiny_config: Config) -> None:
    root = tiny_config["scenario"]["dataset_root"]
    data = build(tiny_config, CPU).benchmark.sources["a", "train"]
    original = data.paths[1].read_bytes()
    try:
        with Image.open(data.paths[1]) as image:
            resized = image.resize((20, 20))
        resized.save(data.paths[1])
        tiny_config["scenario"]["train_transform"] = [{"type": "ToTensor"}]
        with pytest.raises(DatasetError, match=r"different sizes.*RandomCrop"):
            rehearse(build(tiny_config, CPU))
    finally:
        data.paths[1].write_bytes(original)
    assert root


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"type": "HuberLoss", "delta": -1.0}, r"cl_strategy\.loss: cannot be computed: .*delta"),
        ({"type": "L1Loss", "reduction": "none"}, r"shape \(3,\).*reduction='mean'"),
    ],
)
def test_a_loss_that_cannot_be_computed_is_found(
    tiny_config: Config, loss: Config, message: str
) -> None:
    tiny_config["cl_strategy"]["loss"] = loss
    with pytest.raises(ConfigError, match=message):
        rehearse(build(tiny_config, CPU))


def test_too_few_logits_are_found(clear_config: Config) -> None:
    clear_config["model"]["head"]["num_classes"] = 2
    with pytest.raises(
        ModelError, match=r"gives shape \(3, 2\) for 3 training images.*of the 3 cl"
    ):
        rehearse(build(clear_config, CPU))


def test_features_of_another_width_are_found(features_config: Config) -> None:
    features_config["model"]["in_channels"] = 5
    with pytest.raises(CliqaError, match=r"in_channels=6"):
        rehearse(build(features_config, CPU))


def test_a_model_without_a_head_is_found(clear_config: Config) -> None:
    del clear_config["model"]["head"]
    with pytest.raises(ModelError, match=r"gives a tuple for training images.*Has it no head\?"):
        rehearse(build(clear_config, CPU))


def test_a_loss_of_scores_is_no_loss_of_classes(clear_config: Config) -> None:
    clear_config["cl_strategy"]["loss"] = {"type": "PLCCLoss"}
    with pytest.raises(CliqaError):
        rehearse(build(clear_config, CPU))


@pytest.mark.parametrize("option", [{"keep_best": True}, {"patience": 2}])
def test_choosing_epochs_needs_validation_splits(
    tiny_config: Config, option: dict[str, Any]
) -> None:
    tiny_config["cl_strategy"].update(option)
    rehearse(build(tiny_config, CPU))
    tiny_config["scenario"]["datasets"][1]["fractions"] = (0.7, 0.0, 0.3)
    message = rf"cl_strategy\.{next(iter(option))}: b has no validation split.*fractions=\(0\.8"
    with pytest.raises(ConfigError, match=message):
        rehearse(build(tiny_config, CPU))
