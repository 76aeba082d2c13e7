"""A linear score."""

from __future__ import annotations

import torch
from torch import nn

from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS


@MODELS.register_module()
class LinearScoreHead(nn.Module):
    """Score = w f + b, unbounded by default; initially near 0.5 for every image.

    Args:
        in_channels: Length D of the feature vectors.
        sigmoid: Apply a sigmoid, for scores in 0..1.
    """

    def __init__(self, in_channels: int, sigmoid: bool = False) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.sigmoid = sigmoid
        self.fc = nn.Linear(in_channels, 1)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.constant_(self.fc.bias, 0.0 if sigmoid else 0.5)

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return scores (B,) for features (B, D)."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            score = self.fc(vectors)[:, 0]
        return score.sigmoid() if self.sigmoid else score
