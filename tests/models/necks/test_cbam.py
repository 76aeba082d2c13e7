from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.cbam import CBAM
from cliqa.utils.errors import ConfigError


def test_the_parameters_are_counted() -> None:
    assert sum(p.numel() for p in CBAM(256).parameters()) == 8_290


def test_it_weighs_channels_and_then_places() -> None:
    module = CBAM(8, reduction=4, kernel_size=3)
    maps = torch.randn(2, 8, 5, 6)
    mean, largest = F.adaptive_avg_pool2d(maps, 1), F.adaptive_max_pool2d(maps, 1)
    both = module.channel(mean.flatten(1)) + module.channel(largest.flatten(1))
    weighted = maps * torch.sigmoid(both).view(2, 8, 1, 1)
    places = torch.stack([weighted.mean(1), weighted.max(1).values], dim=1)
    expected = weighted * torch.sigmoid(module.place(places))
    torch.testing.assert_close(module(maps), expected)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="reduction=16 must lie between 1 and the 8 channels"):
        CBAM(8)
    with pytest.raises(ConfigError, match="kernel_size must be odd, got 4"):
        CBAM(32, kernel_size=4)
