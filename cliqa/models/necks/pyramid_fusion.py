"""A feature pyramid with attention, as a few channels on a small grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.models.necks.cbam import CBAM
from cliqa.models.necks.feature_pyramid import FeaturePyramid
from cliqa.models.necks.pooling import pool_to
from cliqa.models.necks.scale_fusion import reduction
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


@MODELS.register_module()
class PyramidFusion(nn.Module):
    """Maps -> (B, out_channels, grid, grid): `FeaturePyramid`, `CBAM` a level, side by side.

    Args:
        in_channels: Channels of the maps, shallow to deep.
        levels: How many of the deepest maps make the pyramid.
        pyramid_channels: Channels of each level.
        out_channels: Channels in the end.
        grid: Edge that the result is pooled to.
        attention: Weigh channels and places of each level.
        attention_reduction: See `CBAM`.

    Raises:
        ConfigError: A size is not above 0, or there are fewer maps than levels.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        levels: int = 3,
        pyramid_channels: int = 256,
        out_channels: int = 112,
        grid: int = 7,
        attention: bool = True,
        attention_reduction: int = 16,
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, out_channels=out_channels, grid=grid, levels=levels)
        if levels > len(in_channels):
            raise ConfigError(
                f"PyramidFusion: levels={levels}, but the backbone gives {len(in_channels)} maps. "
                "Set fewer levels, or more of the backbone's out_indices or nodes."
            )
        self.levels = levels
        self.grid = grid
        self.pyramid = FeaturePyramid(in_channels[-levels:], pyramid_channels)
        self.attention = nn.ModuleList(
            CBAM(pyramid_channels, attention_reduction) if attention else nn.Identity()
            for _ in range(levels)
        )
        self.reduce = reduction([levels * pyramid_channels, pyramid_channels, out_channels])

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (B, out_channels, grid, grid) for maps (B, C, h, w), shallow to deep."""
        pyramid = self.pyramid(maps[-self.levels :])
        weighted = [each(level) for each, level in zip(self.attention, pyramid, strict=True)]
        height, width = weighted[-1].shape[-2:]
        joined = torch.cat([pool_to(level, height, width) for level in weighted], dim=1)
        return pool_to(self.reduce(joined), self.grid, self.grid)
