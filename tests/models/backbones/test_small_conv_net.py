from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.backbones.small_conv_net import SmallConvNet
from cliqa.models.build import build_model
from cliqa.utils.errors import ConfigError, ModelError

FLAT: dict[str, Any] = {
    "backbone": {"type": "SmallConvNet", "flatten": True},
    "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 576},
}
POOLED: dict[str, Any] = {
    "backbone": {"type": "SmallConvNet", "norm": "BN"},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 64},
}


def images(size: int = 2, channels: int = 1, edge: int = 28) -> torch.Tensor:
    return torch.rand(size, channels, edge, edge, generator=torch.Generator().manual_seed(0))


def test_the_layers_are_convolution_norm_relu_and_pooling() -> None:
    net = SmallConvNet(channels=(4,), norm="BN").eval()
    conv, norm = net.blocks[0][0], net.blocks[0][1]  # type: ignore[index]
    wanted = F.max_pool2d(F.relu(norm(F.conv2d(images(), conv.weight, padding=1))), 2)
    torch.testing.assert_close(net(images())[0], wanted)
    assert conv.bias is None


@pytest.mark.parametrize("norm", [None, "BN", "GN"])
def test_a_map_or_a_vector_comes_out(norm: str | None) -> None:
    torch.manual_seed(0)
    net = SmallConvNet(norm=norm).eval()
    (maps,) = net(images())
    assert maps.shape == (2, 64, 3, 3)
    net.flatten = True
    torch.testing.assert_close(net(images())[0], maps.reshape(2, 576))
    kinds = {type(module) for module in net.modules()}
    assert (nn.BatchNorm2d in kinds, nn.GroupNorm in kinds) == (norm == "BN", norm == "GN")


def test_any_width_has_a_group_normalisation() -> None:
    net = SmallConvNet(channels=(6, 12), norm="GN")
    groups = [m.num_groups for m in net.modules() if isinstance(m, nn.GroupNorm)]
    assert groups == [2, 4]


@pytest.mark.parametrize("flatten", [False, True])
def test_every_block_is_a_level_of_the_same_weights(flatten: bool) -> None:
    torch.manual_seed(0)
    whole = SmallConvNet(channels=(4, 6, 8), norm="BN").eval()
    net = SmallConvNet(channels=(4, 6, 8), norm="BN", flatten=flatten, out_indices=(0, 2)).eval()
    net.load_state_dict(whole.state_dict())
    wanted = [whole.blocks[0](images()), *whole(images())]
    found = net(images())
    assert [maps.shape[1:] for maps in wanted] == [(4, 14, 14), (8, 3, 3)]
    for maps, own in zip(wanted, found, strict=True):
        torch.testing.assert_close(own, maps.flatten(1) if flatten else maps)


def test_the_initialisation_keeps_the_variance() -> None:
    torch.manual_seed(0)
    net = SmallConvNet(channels=(64, 64, 64, 64))
    weights = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d)]
    for weight in weights:
        fan_in = weight[0].numel()
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)


@pytest.mark.parametrize("config", [FLAT, POOLED])
def test_it_is_the_backbone_of_mmpretrains_classifier(config: dict[str, Any]) -> None:
    assert build_model(config)(images()).shape == (2, 10)


@pytest.mark.parametrize("rate", [0.005, 0.01])
def test_momentum_does_not_kill_it(rate: float) -> None:
    torch.manual_seed(0)
    targets = torch.arange(64) % 4
    quarters = torch.eye(4).reshape(4, 1, 2, 2)  # class k is a bright quarter of the image
    bright = torch.rand(64, 1, 28, 28) + F.interpolate(quarters, scale_factor=14)[targets]
    model = build_model(FLAT)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for _ in range(15):
        for batch in torch.randperm(64).split(16):
            optimizer.zero_grad()
            F.cross_entropy(model(bright[batch]), targets[batch]).backward()
            optimizer.step()
    assert (model(bright).argmax(dim=1) == targets).float().mean() > 0.9


def test_other_images_are_refused() -> None:
    with pytest.raises(ModelError, match=r"takes images \(B, 1, H, W\), got .*Set in_channels in"):
        SmallConvNet()(images(channels=3))
    with pytest.raises(
        ModelError, match=r"halves the images 3 times, so they need 8 pixels a side"
    ):
        SmallConvNet()(images(edge=7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": ()}, "channels is empty"),
        ({"channels": (4, 0)}, "SmallConvNet: channels must be above 0, got 0"),
        ({"out_indices": ()}, r"out_indices=\(\): expected some of \[0, 1, 2\]"),
        ({"out_indices": (1, 0)}, r"out_indices=\(1, 0\): .* each once and in this order"),
        ({"out_indices": (0, 3)}, "out_indices=.*Leave it out for the last block"),
        ({"norm": "LN"}, "unknown norm 'LN'. Use None, 'BN' or 'GN'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SmallConvNet(**arguments)
