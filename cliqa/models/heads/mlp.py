"""A score by a small perceptron."""

from __future__ import annotations

import torch
from torch import nn

from cliqa.models.arguments import check_integer
from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS


@MODELS.register_module()
class MLPScoreHead(nn.Module):
    """Layers of layer normalisation, linear map and GELU, then a linear score; initially near 0.5.

    The score regression of TOPIQ (Chen et al., TIP 2024).

    Args:
        in_channels: D, the length of the feature vectors and of the hidden layers.
        layers: Hidden layers.

    Raises:
        ConfigError: A size is not an integer above 0.
    """

    def __init__(self, in_channels: int, layers: int = 2) -> None:
        super().__init__()
        check_integer(type(self).__name__, 1, in_channels=in_channels, layers=layers)
        self.in_channels = in_channels
        hidden = (
            (nn.LayerNorm(in_channels), nn.Linear(in_channels, in_channels), nn.GELU())
            for _ in range(layers)
        )
        last = nn.Linear(in_channels, 1)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.constant_(last.bias, 0.5)
        self.layers = nn.Sequential(*(layer for block in hidden for layer in block), last)

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return scores (B,) for features (B, D)."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            score: torch.Tensor = self.layers(vectors)[:, 0]
        return score
