"""A score from the cosine of an embedding and a trained direction of quality."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS


@MODELS.register_module()
class CosineScoreHead(nn.Module):
    """Score = a s + b with s = cos(W f + c, u), u a learnable vector.

    Without `affine`, a = b = 1/2, so the score is (s + 1) / 2 in 0..1.

    Args:
        in_channels: Length D of the feature vectors.
        embed_dims: Length of the embedding.
        affine: Train a and b, starting at 1/2.
    """

    def __init__(self, in_channels: int, embed_dims: int = 256, affine: bool = True) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.projection = nn.Linear(in_channels, embed_dims)
        self.direction = nn.Parameter(torch.randn(embed_dims))
        half = torch.tensor(0.5)
        self.scale = nn.Parameter(half.clone()) if affine else 0.5
        self.shift = nn.Parameter(half.clone()) if affine else 0.5

    def embed(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return unit embeddings (B, embed_dims) for features (B, D)."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            return F.normalize(self.projection(vectors))

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return scores (B,) for features (B, D)."""
        similarity = (self.embed(features) * F.normalize(self.direction, dim=0)).sum(dim=1)  # (B,)
        return self.scale * similarity + self.shift
