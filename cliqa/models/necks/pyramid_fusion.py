"""A feature pyramid with attention (CBAM), reduced to few channels on a small grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_positive
from cliqa.models.necks.pooling import pool_to
from cliqa.models.necks.scale_fusion import reduction
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


@MODELS.register_module()
class PyramidFusion(nn.Module):
    """Maps -> (B, out_channels, grid, grid): `FeaturePyramid`, `CBAM` a level, side by side.

    Args:
        in_channels: Channels of the maps, shallow to deep.
        levels: Number of the deepest maps in the pyramid.
        pyramid_channels: Channels of each level.
        out_channels: Output channels.
        grid: Edge of the pooled output.
        attention: Weight channels and positions of each level.
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


@MODELS.register_module()
class FeaturePyramid(nn.Module):
    """Maps (B, C_k, h_k, w_k) -> as many maps (B, out_channels, h_k, w_k).

    Lin et al., "Feature pyramid networks for object detection", CVPR 2017, with bilinear
    upsampling: each level's 1x1 convolution plus the upsampled sum of the deeper level, then a 3x3
    convolution. (torchvision's ``FeaturePyramidNetwork`` upsamples by nearest neighbours.)

    Args:
        in_channels: C_k, shallow to deep.
        out_channels: Channels of every level.

    Raises:
        ConfigError: A number of channels is not above 0.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        name = type(self).__name__
        check_positive(name, in_channels=min(in_channels), out_channels=out_channels)
        self.lateral = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in in_channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in in_channels
        )
        for conv in (*self.lateral, *self.smooth):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the pyramid's maps, shallow to deep, for maps in the same order."""
        sums: list[Tensor] = []
        for conv, level in zip(reversed(self.lateral), reversed(maps), strict=True):
            own = conv(level)
            if sums:
                own = own + F.interpolate(sums[-1], size=own.shape[-2:], mode="bilinear")
            sums.append(own)
        return [conv(own) for conv, own in zip(self.smooth, reversed(sums), strict=True)]


@MODELS.register_module()
class CBAM(nn.Module):
    """Maps (B, C, h, w) -> maps of the same shape, weighted by channel and then by position.

    Woo et al., "CBAM: Convolutional block attention module", ECCV 2018, eq. 2 and 3.

    Args:
        channels: C.
        reduction: Reduction of the channels in the hidden layer of the first step's perceptron.
        kernel_size: Edge of the convolution of the second step, odd.

    Raises:
        ConfigError: `reduction` leaves no channel, or `kernel_size` is not odd.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        if not 1 <= reduction <= channels:
            raise ConfigError(
                f"CBAM: reduction={reduction} must lie between 1 and the {channels} channels."
            )
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ConfigError(f"CBAM: kernel_size must be odd, got {kernel_size!r}.")
        inner = channels // reduction
        self.channel = nn.Sequential(
            nn.Linear(channels, inner, bias=False),
            nn.ReLU(),
            nn.Linear(inner, channels, bias=False),
        )
        self.place = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted maps (B, C, h, w)."""
        # both in one pass, as two positions of a sample, so that per-sample gradients work
        pooled = torch.stack([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)  # (B, 2, C)
        maps = maps * self.channel(pooled).sum(1).sigmoid()[:, :, None, None]
        places = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], dim=1)
        return maps * self.place(places).sigmoid()
