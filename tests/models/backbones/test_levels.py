"""The levels of a network are its stem and the ends of its stages, whatever network it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.backbones.levels import find_levels, level_statistics
from cliqa.models.backbones.small_conv_net import SmallConvNet
from cliqa.models.lora.adapters import inject, merge
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.necks.map_statistics import map_statistics
from cliqa.utils.errors import ModelError

RESNET = {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4}


def resnet() -> Any:
    network = build_part({**RESNET, "norm_cfg": {"type": "GN", "num_groups": 2}}, "backbone")
    network.eval()  # which returns None in mmpretrain
    return network


class Tokens(nn.Module):
    """A plain transformer: a patch embedding, and blocks of equally many tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(8)])
        self.norm = nn.LayerNorm(8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = x + block(x)
        return self.norm(x).mean(1)


class Last(nn.Module):
    """A stage of maps (B, h, w, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stage = nn.Conv2d(3, 6, 4, stride=4), nn.Linear(6, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.stage(self.stem(images).permute(0, 2, 3, 1))


def test_of_a_resnet() -> None:
    found = find_levels(resnet(), torch.rand(3, 3, 64, 64))
    assert found == dict.fromkeys(["relu", "layer1", "layer2", "layer3", "layer4"], "map")


def test_of_a_small_network() -> None:
    found = find_levels(SmallConvNet(3, (4, 6)), torch.rand(1, 3, 16, 16))
    assert list(found) == ["blocks.0.1", "blocks.0", "blocks"]


def test_of_a_stage_that_goes_on_after_the_stem() -> None:
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.GroupNorm(1, 4)),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.GELU()),
        nn.Sequential(nn.GroupNorm(1, 4), nn.Conv2d(4, 8, 2, stride=2), nn.GELU()),
        nn.AdaptiveAvgPool2d(1),
    )
    found = find_levels(network, torch.rand(2, 3, 32, 32))
    assert list(found) == ["0.0", "1", "2"]  # not the norm that begins the last stage, no pooling


def test_of_a_transformer() -> None:
    found = find_levels(Tokens(), torch.rand(2, 3, 32, 32))
    blocks = [name for name in found if name.startswith("blocks")]
    assert blocks == ["blocks.1", "blocks.3", "blocks.5", "blocks.7"]
    assert found["blocks.1"] == "tokens"


def test_channels_may_come_last() -> None:
    network = Last()
    for size in ((32, 32), (32, 48)):
        images = torch.rand(2, 3, *size)
        found = find_levels(network, images)
        assert found["stage"] == "channels_last"
        values = level_statistics(network, images, {"stage": "channels_last"}, ["mean"])
        torch.testing.assert_close(values, network(images).mean((1, 2)))


def test_statistics_are_those_of_the_named_maps() -> None:
    network, images = resnet(), torch.rand(3, 3, 64, 64)
    levels = find_levels(network, images, ["layer2", "layer4"])
    with torch.no_grad():
        x = network.maxpool(network.relu(network.norm1(network.conv1(images))))
        second = network.layer2(network.layer1(x))
        maps = [second, network.layer4(network.layer3(second))]
    found = level_statistics(network, images, levels, ["mean", "log_std"])
    assert torch.equal(found, map_statistics(maps, ["mean", "log_std"]))
    assert not any(module._forward_hooks for module in network.modules())


def test_levels_stay_where_adapters_are_merged() -> None:
    network, images = SmallConvNet(3, (4, 6)), torch.rand(2, 3, 16, 16)
    inject(network, "conv", rank=2)
    levels = find_levels(network, images)
    before = level_statistics(network, images, levels, ["mean"])
    merge(network)
    torch.testing.assert_close(level_statistics(network, images, levels, ["mean"]), before)


def test_a_network_over_stored_features_has_no_level() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def features(self, given: torch.Tensor) -> torch.Tensor:
            return self.layer(given)

    network, given = Features(), torch.rand(5, 3)
    assert find_levels(network, given) == {}
    assert torch.equal(level_statistics(network, given, {}, ["mean"]), network.features(given))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("layer5", r"the ResNet has no module 'layer5'\. Did you mean 'layer\d'\? Modules that"),
        ("layer1.0.relu", r"'layer1\.0\.relu' gives neither maps .* or takes part more than once"),
    ],
)
def test_names_that_are_no_level(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        find_levels(resnet(), torch.rand(2, 3, 64, 64), [name])
