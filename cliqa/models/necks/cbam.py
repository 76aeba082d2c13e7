"""Attention to channels, then to places."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


@MODELS.register_module()
class CBAM(nn.Module):
    """Maps (B, C, h, w) -> maps of the same shape, weighted by channel and then by place.

    Woo et al., "CBAM: Convolutional block attention module", ECCV 2018, eq. 2 and 3.

    Args:
        channels: C.
        reduction: How many times fewer channels the perceptron of the first step has inside.
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
        # both in one pass, as two places of a sample: gradients of single samples can be told
        pooled = torch.stack([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)  # (B, 2, C)
        maps = maps * self.channel(pooled).sum(1).sigmoid()[:, :, None, None]
        places = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], dim=1)
        return maps * self.place(places).sigmoid()
