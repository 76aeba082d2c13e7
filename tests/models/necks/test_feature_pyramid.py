from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.feature_pyramid import FeaturePyramid
from cliqa.utils.errors import ConfigError


def test_the_parameters_are_counted() -> None:
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
