from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.pyramid_fusion import PyramidFusion
from cliqa.utils.errors import ConfigError

CHANNELS = (256, 512, 1024, 2048)


@pytest.mark.parametrize(
    ("attention", "parameters"), [(True, 2_688_512 + 24_870 + 225_648), (False, 2_914_160)]
)
def test_the_parameters_are_counted(attention: bool, parameters: int) -> None:
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


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="levels=3, but the backbone gives 2 maps"):
        PyramidFusion((512, 2048))
    with pytest.raises(ConfigError, match="levels must be above 0"):
        PyramidFusion(CHANNELS, levels=0)
