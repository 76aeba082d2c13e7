"""A feature pyramid: what deep maps know, at the resolution of shallow ones."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_positive
from cliqa.registry import MODELS


@MODELS.register_module()
class FeaturePyramid(nn.Module):
    """Maps (B, C_k, h_k, w_k) -> as many maps (B, out_channels, h_k, w_k).

    Lin et al., "Feature pyramid networks for object detection", CVPR 2017, with bilinear
    enlarging: each level's 1x1 convolution plus the enlarged sum of the level below, then a 3x3
    convolution.

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
