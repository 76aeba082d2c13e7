"""Tests of cliqa.engine.trial.build: what a check builds, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.config.load import load_config
from cliqa.engine.trial.build import check_by_building
from cliqa.utils.errors import CliqaError

CONFIG = Path(__file__).resolve().parents[3] / "config"


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("demo_naive", "built QualityModel (735,378 parameters); AdamW; Naive with no plugin; tra"),
        ("demo_hardware_aware", "Naive with Replay, ChannelPruning, QAT; train_transform (3, 88"),
        ("koniq_hyperiqa", "built HyperIQA (27,375,369 parameters)"),
        ("clear_lora", "built ImageClassifier (24,166,115 parameters"),
        ("qualiclip_demo", "built QualityModel (735,378 parameters); QualiCLIPLoss"),
    ],
)
def test_everything_is_built_without_data(name: str, facts: str) -> None:
    config = load_config(CONFIG / f"{name}.py")
    checked, built = check_by_building(config)
    assert facts in built
    assert checked["model"] == config["model"]


HYPER = "model=dict(_delete_=True, type='HyperIQA', {})"

WRONG = {
    "another model's backbone": (
        "iqa_naive",
        HYPER.format("backbone=dict(type='ResNet', depth=18)"),
        "LocalDistortion: reduced has 3 numbers for 1 maps",
    ),
    "another model's argument": ("iqa_naive", HYPER.format("embedding_dim=256"), "embedding_dim"),
    "depth that does not exist": ("demo_naive", "model.backbone.depth=19", "19"),
    "head of another width": ("demo_naive", "model.head.in_channels=77", "Set in_channels=128"),
    "crop above the image": (
        "demo_naive",
        "scenario.train_transform=[dict(type='RandomCrop', size=999)]",
        "smaller than the crop",
    ),
    "rule that matches nothing": (
        "demo_naive",
        "cl_strategy.optimizer.paramwise=[dict(match='tail', lr_mult=0.1)]",
        "match='tail' names no parameter",
    ),
    "pretraining of a classifier": (
        "qualiclip_demo",
        "model=dict(_delete_=True, backbone=dict(type='ResNet', depth=18))",
        "gives no features",
    ),
    "level that does not exist": ("qualiclip_demo", "pretrain.data.table=none", "none"),
}


@pytest.mark.parametrize(("name", "option", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_built_is_refused(name: str, option: str, message: str) -> None:
    config = load_config(CONFIG / f"{name}.py", [option])
    with pytest.raises(CliqaError) as caught:
        check_by_building(config)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("model.train_cfg=dict(augments=[dict(type='Mixup')])", "model.train_cfg: Mixup and CutM"),
        ("model.data_preprocessor=dict(mean=[0])", "model.data_preprocessor: images are normalis"),
    ],
)
def test_keys_of_mmpretrains_own_training_are_refused(option: str, message: str) -> None:
    config = load_config(CONFIG / "clear_naive.py", [option])
    with pytest.raises(CliqaError, match=message):
        check_by_building(config)


def test_a_loss_in_the_head_that_is_not_used_is_told(caplog: pytest.LogCaptureFixture) -> None:
    option = "model.head.loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)"
    check_by_building(load_config(CONFIG / "clear_demo_naive.py", [option]))
    told = "model.head.loss 'LabelSmoothLoss' is not used: cl_strategy.loss is 'CrossEntropyLoss'"
    assert told in caplog.text
