"""Attention from coarse to fine maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer
from cliqa.models.necks.attention import AttentionLayer
from cliqa.models.necks.pooling import pool_to
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

GATE = 64
"""Hidden channels of a gate."""

EDGE = 32
"""Rows and columns of the learnt positions."""


@MODELS.register_module()
class CrossScaleAttention(nn.Module):
    """Maps of several depths -> one vector (B, D), from meaning to detail: TOPIQ's neck.

    Chen et al., "TOPIQ: a top-down approach from semantics to distortions for image quality
    assessment", TIP 2024, section III. Every map is gated (`GatedMap`), pooled to the deepest one's
    size and reduced to D channels; its positions attend to each other. Then those of the deepest
    map attend to the next shallower one, the result to the next, and so on. The vector is the mean
    over positions.

    Args:
        in_channels: Channels of the maps, shallow to deep.
        dim: D, even.
        heads: Heads of the attention; they share D among them.
        layers: Layers of attention in each step.
        dropout: Probability of dropping a value in training, 0..1.

    Raises:
        ConfigError: There are fewer than two maps, or a size is not possible.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        dim: int = 256,
        heads: int = 4,
        layers: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_integer(name, 1, in_channels=min(in_channels, default=0), layers=layers)
        check_integer(name, 2, dim=dim, number_of_maps=len(in_channels))
        if dim % 2:
            raise ConfigError(f"{name}: dim must be even (rows and columns share it), got {dim}.")
        self.gates = nn.ModuleList(GatedMap(channels) for channels in in_channels)
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, dim, 1), nn.GELU()) for channels in in_channels
        )
        self.within = nn.ModuleList(
            nn.ModuleList(AttentionLayer(dim, heads, dropout) for _ in range(layers))
            for _ in in_channels
        )
        self.across = nn.ModuleList(
            nn.ModuleList(AttentionLayer(dim, heads, dropout, cross=True) for _ in range(layers))
            for _ in in_channels[1:]
        )
        self.last = AttentionLayer(dim, heads, dropout)
        self.rows = nn.Parameter(torch.empty(1, dim // 2, EDGE, 1))
        self.columns = nn.Parameter(torch.empty(1, dim // 2, 1, EDGE))
        for places in (self.rows, self.columns):
            nn.init.trunc_normal_(places, std=0.02)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor]:
        """Return vectors (B, D) for maps (B, C, h, w), shallow to deep.

        Raises:
            ModelError: The number of maps differs from that of `in_channels`, or one is a vector.
        """
        if len(maps) != len(self.gates) or any(level.ndim != 4 for level in maps):
            raise ModelError(
                f"CrossScaleAttention has layers for {len(self.gates)} maps (B, C, h, w) and got "
                f"{len(maps)} outputs. Set as many of the backbone's out_indices or nodes, and "
                "their channels as in_channels of model.neck."
            )
        height, width = maps[-1].shape[2:]
        levels = [self._tokens(index, level, height, width) for index, level in enumerate(maps)]
        x = levels[-1]
        for step, finer in zip(self.across, reversed(levels[:-1]), strict=True):
            for layer in step:  # type: ignore[attr-defined]  # a list of modules
                x = layer(x, finer)
        return (self.last(x).mean(dim=1),)

    def _tokens(self, index: int, level: Tensor, height: int, width: int) -> Tensor:
        """Return a level (B, C, h, w) as tokens (B, height * width, D) that know each other."""
        pooled = self.reduce[index](pool_to(self.gates[index](level), height, width))
        x = (pooled + self.places(height, width)).flatten(2).transpose(1, 2)
        for layer in self.within[index]:  # type: ignore[attr-defined]  # a list of modules
            x = layer(x)
        return x

    def places(self, height: int, width: int) -> Tensor:
        """Return the learnt positions of a map, (1, D, height, width)."""
        rows, columns = self.rows.expand(-1, -1, -1, EDGE), self.columns.expand(-1, -1, EDGE, -1)
        grid = torch.cat([rows, columns], dim=1)  # (1, D, EDGE, EDGE)
        return F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)


class GatedMap(nn.Module):
    """Maps (B, C, h, w) -> maps of the same shape: one half of a projection weighs the other.

    Chen et al., TIP 2024, section III-B: x * sigmoid(...), with one weight for each position.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = nn.Conv2d(channels, 2 * channels, 1)
        self.weight = nn.Sequential(
            nn.Conv2d(channels, GATE, 1),
            nn.GELU(),
            nn.Conv2d(GATE, GATE, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(GATE, 1, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted maps (B, C, h, w)."""
        values, gate = self.split(maps).chunk(2, dim=1)
        found: Tensor = F.gelu(values) * self.weight(gate)
        return found
