"""The maps of one depth, or of all, as a few channels on a small grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.models.necks.pooling import pool_to
from cliqa.models.necks.scale_attention import ScaleAttention
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


def reduction(widths: Sequence[int]) -> nn.Sequential:
    """Return 1x1 convolutions from one width to the next, with ReLU behind each."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        conv = nn.Conv2d(before, after, 1)
        nn.init.kaiming_normal_(conv.weight)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers)


@MODELS.register_module()
class ScaleFusion(nn.Module):
    """Maps -> (B, out_channels, grid, grid): the deepest ones, or all of them side by side.

    Args:
        in_channels: Channels of the maps, shallow to deep.
        hidden: Channels of the 1x1 convolutions in between.
        out_channels: Channels in the end.
        grid: Edge that the maps are pooled to.
        multi_scale: Take all the maps.
        attention: Weigh them by `ScaleAttention`.
        attention_hidden: Width of its perceptron.
        attention_dropout: Its dropout in training, 0..1.

    Raises:
        ConfigError: A size is not above 0, or attention has nothing to choose from.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        hidden: Sequence[int] = (1024, 512),
        out_channels: int = 112,
        grid: int = 7,
        multi_scale: bool = False,
        attention: bool = False,
        attention_hidden: int = 256,
        attention_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if attention and not multi_scale:
            raise ConfigError(
                "ScaleFusion: attention=True weighs scales, but multi_scale=False takes one alone. "
                "Set multi_scale=True, or attention=False."
            )
        sizes = min([*in_channels, *hidden, out_channels])
        check_positive(type(self).__name__, in_channels_hidden_and_out_channels=sizes, grid=grid)
        self.grid = grid
        self.multi_scale = multi_scale
        self.attention = (
            ScaleAttention(in_channels, attention_hidden, attention_dropout) if attention else None
        )
        width = sum(in_channels) if multi_scale else in_channels[-1]
        self.reduce = reduction([width, *hidden, out_channels])

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (B, out_channels, grid, grid) for maps (B, C, h, w), shallow to deep."""
        chosen = maps if self.multi_scale else maps[-1:]
        pooled: Sequence[Tensor] = [pool_to(level, self.grid, self.grid) for level in chosen]
        if self.attention is not None:
            pooled = self.attention(pooled)
        return self.reduce(torch.cat(list(pooled), dim=1))
