from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.pyramid_fusion import CBAM, FeaturePyramid, PyramidFusion
from cliqa.utils.errors import ConfigError

CHANNELS = (256, 512, 1024, 2048)


@pytest.mark.parametrize(
    ("attention", "parameters"), [(True, 2_688_512 + 24_870 + 225_648), (False, 2_914_160)]
)
def test_the_fusion_has_its_parameters(attention: bool, parameters: int) -> None:
    with torch.device("meta"):
        fusion = PyramidFusion(CHANNELS, attention=attention)
    assert sum(p.numel() for p in fusion.parameters()) == parameters


@pytest.mark.parametrize("edges", [(28, 14, 7), (12, 6, 3)])
def test_levels_are_weighed_and_joined_at_the_deepest_ones_size(edges: tuple[int, ...]) -> None:
    fusion = PyramidFusion((2, 4, 6, 8), 3, 16, out_channels=5, attention_reduction=4)
    maps = [torch.rand(2, c, e, e) for c, e in zip((4, 6, 8), edges, strict=True)]
    levels = fusion.pyramid(maps)
    parts = [
        F.adaptive_avg_pool2d(attention(level), edges[-1])
        for attention, level in zip(fusion.attention, levels, strict=True)
    ]
    expected = F.adaptive_avg_pool2d(fusion.reduce(torch.cat(parts, dim=1)), 7)
    found = fusion([torch.rand(2, 2, 56, 56), *maps])  # the shallowest maps are not looked at
    torch.testing.assert_close(found, expected)
    assert found.shape == (2, 5, 7, 7)


def test_more_levels_than_maps_are_refused() -> None:
    with pytest.raises(ConfigError, match="levels=3, but the backbone gives 2 maps"):
        PyramidFusion((512, 2048))
    with pytest.raises(ConfigError, match="levels must be above 0"):
        PyramidFusion(CHANNELS, levels=0)


def test_the_pyramid_has_its_parameters() -> None:
    with torch.device("meta"):
        pyramid = FeaturePyramid((512, 1024, 2048), 256)
    assert sum(p.numel() for p in pyramid.parameters()) == 2_688_512


def test_each_level_adds_the_enlarged_sum_below_it() -> None:
    pyramid = FeaturePyramid((4, 6, 8), 5)
    second, third, fourth = (torch.rand(2, c, e, e) for c, e in ((4, 8), (6, 4), (8, 2)))
    lateral, smooth = pyramid.lateral, pyramid.smooth

    def enlarged(level: torch.Tensor) -> torch.Tensor:
        return F.interpolate(level, scale_factor=2, mode="bilinear", align_corners=False)

    p4 = lateral[2](fourth)
    p3 = lateral[1](third) + enlarged(p4)
    p2 = lateral[0](second) + enlarged(p3)
    found = pyramid([second, third, fourth])
    for level, expected in zip(found, (smooth[0](p2), smooth[1](p3), smooth[2](p4)), strict=True):
        torch.testing.assert_close(level, expected)


def test_sizes_that_are_no_multiples_are_met() -> None:
    found = FeaturePyramid((4, 6), 5)([torch.rand(1, 4, 9, 7), torch.rand(1, 6, 5, 4)])
    assert [tuple(level.shape) for level in found] == [(1, 5, 9, 7), (1, 5, 5, 4)]


def test_no_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="FeaturePyramid: out_channels must be above 0"):
        FeaturePyramid((4,), 0)


def test_cbam_has_its_parameters() -> None:
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


def test_impossible_sizes_of_cbam_are_refused() -> None:
    with pytest.raises(ConfigError, match="reduction=16 must lie between 1 and the 8 channels"):
        CBAM(8)
    with pytest.raises(ConfigError, match="kernel_size must be odd, got 4"):
        CBAM(32, kernel_size=4)
