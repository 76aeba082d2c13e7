"""The maps of one depth, or of all depths, reduced to few channels on a small grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.models.necks.pooling import pool_to
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
        hidden: Channels of the intermediate 1x1 convolutions.
        out_channels: Output channels.
        grid: Edge that the maps are pooled to.
        multi_scale: Use all the maps.
        attention: Weight them by `ScaleAttention`.
        attention_hidden: Width of its perceptron.
        attention_dropout: Its dropout in training, 0..1.

    Raises:
        ConfigError: A size is not above 0, or attention is used without `multi_scale`.
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
                "ScaleFusion: attention=True weights scales, but multi_scale=False uses only one. "
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


@MODELS.register_module()
class ScaleAttention(nn.Module):
    """One weight per scale and image, from the mean of the deepest maps; nearly equal at first.

    Args:
        in_channels: Channels of the maps, shallow to deep.
        hidden: Width of the perceptron.
        dropout: Probability of dropping a hidden value in training, 0..1.

    Raises:
        ConfigError: A size is not above 0.
    """

    def __init__(self, in_channels: Sequence[int], hidden: int = 256, dropout: float = 0.5) -> None:
        super().__init__()
        check_positive(type(self).__name__, in_channels=min(in_channels), hidden=hidden)
        first, last = nn.Linear(in_channels[-1], hidden), nn.Linear(hidden, len(in_channels))
        for layer in (first, last):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        self.net = nn.Sequential(first, nn.ReLU(), nn.Dropout(dropout), last)

    def weights(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the weights (B, L) of L maps (B, C, h, w); an image's sum to 1."""
        return self.net(maps[-1].mean(dim=(2, 3))).softmax(dim=1)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps, each times its weight."""
        weights = self.weights(maps)[:, :, None, None, None]  # (B, L, 1, 1, 1)
        return [level * weights[:, index] for index, level in enumerate(maps)]
