"""Tests of cliqa.models.conversion.parameter_rules, against mmengine's own constructors."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from cliqa.models.build import build_model
from cliqa.models.conversion.parameter_rules import (
    mmengine_groups,
    parameter_rules,
    patterns_of,
    selects_alike,
)
from cliqa.models.without_memory import shape_first
from cliqa.training.loop.parameter_groups import ParameterGroups

ADAMW = {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05}
NO_DECAY = {"norm_decay_mult": 0.0, "bias_decay_mult": 0.0}

SWIN: dict[str, Any] = {"type": "SwinTransformer", "arch": "tiny", "drop_path_rate": 0.2}
VIT: dict[str, Any] = {"type": "VisionTransformer", "arch": "deit-tiny"}
RESNET: dict[str, Any] = {"type": "ResNet", "depth": 18}
LAYERS = {"constructor": "LearningRateDecayOptimWrapperConstructor"}

WRAPPERS: dict[str, tuple[dict[str, Any], int, dict[str, Any], int]] = {
    "no decay": (RESNET, 512, {"paramwise_cfg": NO_DECAY}, 1),
    "flat": (SWIN, 768, {"paramwise_cfg": {**NO_DECAY, "flat_decay_mult": 0.0}}, 1),
    "custom": (
        SWIN,
        768,
        {
            "paramwise_cfg": {
                "custom_keys": {"head": {"lr_mult": 10.0}, "norm": {"decay_mult": 0.0}}
            }
        },
        2,
    ),
    "layers": (VIT, 192, {"paramwise_cfg": {**NO_DECAY, "layer_decay_rate": 0.75}, **LAYERS}, 27),
}


def classifier(backbone: dict[str, Any], channels: int) -> nn.Module:
    """Return an image classifier without memory for its weights."""
    head = {"type": "LinearClsHead", "num_classes": 10, "in_channels": channels}
    neck = None if backbone is VIT else {"type": "GlobalAveragePooling"}
    config = {"type": "ImageClassifier", "backbone": backbone, "neck": neck, "head": head}
    return shape_first(lambda _: build_model(config))


@pytest.mark.parametrize(
    ("backbone", "channels", "wrapper", "most"), WRAPPERS.values(), ids=WRAPPERS
)
def test_rules_sort_every_parameter_as_mmengine_does(
    backbone: dict[str, Any], channels: int, wrapper: dict[str, Any], most: int
) -> None:
    model = classifier(backbone, channels)
    wrapper = {**wrapper, "optimizer": ADAMW}
    rules, groups = parameter_rules(model, wrapper), mmengine_groups(model, wrapper)
    assert 1 <= len(rules) <= most
    assert selects_alike(rules, groups, 0.05)
    assert not selects_alike(rules[1:], groups, 0.05)
    built = ParameterGroups({**ADAMW, "paramwise": rules}).build(model)
    found = {
        (round(group.get("lr", 1e-3) / 1e-3, 6), group.get("weight_decay", 0.05)): sum(
            p.numel() for p in group["params"]
        )
        for group in built
    }
    values = dict(model.named_parameters())
    expected = {key: sum(values[name].numel() for name in names) for key, names in groups.items()}
    assert found == expected


def test_patterns_match_nothing_else() -> None:
    names = {"a.norm1.weight", "a.norm1.bias", "b.norm1.weight", "a.fc.weight", "b.fc.bias"}
    assert patterns_of({"a.norm1.weight", "b.norm1.weight"}, names) == ["*.norm1.weight"]
    assert patterns_of({"a.norm1.weight", "a.norm1.bias"}, names) == ["a.norm1"]
    assert patterns_of(set(), names) == []
