"""Tests of cliqa.models.conversion.convert."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.models.conversion.convert import as_text, convert
from cliqa.utils.errors import ConfigError


def test_a_resnet_keeps_what_its_config_says() -> None:
    found = convert("mmpretrain::resnet/resnet18_8xb16_cifar10.py", experiences=5)
    config = found.config
    assert config["scenario"]["type"] == "SplitCIFAR10"
    assert config["scenario"]["n_experiences"] == 5
    assert config["scenario"]["train_transform"][:2] == [
        {"type": "RandomCrop", "size": 32, "padding": 4},
        {"type": "RandomHorizontalFlip", "p": 0.5},
    ]
    assert config["scenario"]["eval_transform"][-1]["mean"] == pytest.approx(
        [0.4914, 0.4822, 0.4465], abs=1e-4
    )
    strategy = config["cl_strategy"]
    assert (strategy["train_mb_size"], strategy["train_epochs"]) == (16, 200)
    assert strategy["optimizer"] == {
        "type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0001,
    }  # fmt: skip
    assert strategy["scheduler"] == {
        "type": "MultiStepLR", "milestones": [100, 150], "gamma": 0.1,
    }  # fmt: skip
    assert strategy["loss"] == {"type": "CrossEntropyLoss", "loss_weight": 1.0}
    assert config["auto_scale_lr"] == {"base_batch_size": 128, "enable": False}
    assert "loss" not in config["model"]["head"]


def test_a_transformer_has_its_schedule_rules_and_average() -> None:
    found = convert("mmpretrain::convnext/convnext-tiny_32xb128_in1k.py")
    strategy = found.config["cl_strategy"]
    assert strategy["scheduler"]["type"] == "CosineLR"
    assert strategy["scheduler"]["warmup_epochs"] == 20
    assert strategy["optimizer"]["paramwise"][0]["weight_decay"] == 0.0
    assert strategy["plugins"] == [{"type": "EMA", "decay": 0.9999}]
    assert found.config["scenario"]["train_transform"][-1]["type"] == "RandomErasing"
    assert "Mixup, CutMix" in " ".join(found.lost)
    assert "RandAugment is torchvision's" in " ".join(found.lost)
    text = as_text(found, "x", "config/y.py")
    assert text.startswith('"""Converted from x.\n\ncliqa train config/y.py\n')
    assert "\n* Mixup, CutMix and other blends" in text
    assert "train_pipeline = [" in text


REFUSED = {
    "mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py": "its model is 'MAE'",
    "mmpretrain::conformer/conformer-tiny-p16_8xb128_in1k.py": "'ConformerHead' scores every image",
    "mmpretrain::csra/resnet101-csra_1xb16_voc07-448px.py": "learns several labels an image",
    "mmpretrain::byol/benchmarks/mask-rcnn_r50_fpn_ms-1x_coco.py": "'mmdet' is not installed",
    "mmpretrain::resnest/_randaug_policies.py": "it has no model",
    "mmpretrain::resnet/resnet19.py": "no such config file. Did you mean 'resnet",
}


@pytest.mark.parametrize(("path", "reason"), REFUSED.items())
def test_others_are_refused_in_one_line(path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_that_only_tests(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("_base_ = ['mmpretrain::_base_/models/resnet18.py']\n")
    with pytest.raises(ConfigError, match="has no train_dataloader and no optim_wrapper: it only"):
        convert(path)


def test_weights_and_blends_are_left_out_of_a_users_config(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "_base_ = ['mmpretrain::resnet/resnet18_8xb32_in1k.py']\n"
        "model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='https://a/b')))\n"
        "train_dataloader = dict(dataset=dict(data_root='/data/mine'), batch_size=8)\n"
        "custom_hooks = [dict(type='PreciseBNHook')]\n"
        "early_stopping = dict(patience=3)\n"
    )
    found = convert(path)
    assert "init_cfg" not in found.config["model"]["backbone"]
    assert found.config["scenario"]["dataset_root"] == "/data/mine"
    assert found.config["cl_strategy"]["train_mb_size"] == 8
    assert found.config["cl_strategy"]["patience"] == 3
    told = " ".join(found.lost)
    assert "weights to start from are left out" in told
    assert "PreciseBNHook: hooks are plugins" in told
