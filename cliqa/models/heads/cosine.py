"""Scores and class logits from the cosine of an embedding and a trained direction."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.arguments import check_positive
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


@MODELS.register_module()
class CosineClsHead(nn.Module):
    """Logits = s cos(f, w_k), independent of the norms of features and weights.

    In a linear head, recently trained classes have larger weights and are preferred; here not.
    Gidaris & Komodakis, "Dynamic few-shot visual learning without forgetting", 2018, eq. 1; Chen et
    al., "A closer look at few-shot classification", 2019 (Baseline++).

    Args:
        num_classes: K.
        in_channels: Length D of the feature vectors.
        scale: The factor s. Cosines lie in -1..1, too narrow for a softmax: with s = 1 and ten
            classes the highest possible probability is 0.45.
        learn_scale: Train s too, from `scale` on.

    Raises:
        ConfigError: A size or the scale is not above 0.
    """

    def __init__(
        self, num_classes: int, in_channels: int, scale: float = 16.0, learn_scale: bool = True
    ) -> None:
        super().__init__()
        check_positive(
            type(self).__name__, num_classes=num_classes, in_channels=in_channels, scale=scale
        )
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.weight = nn.Parameter(torch.empty(num_classes, in_channels))
        # rows of about unit length: the angular step is the learning rate over the squared length
        nn.init.normal_(self.weight, std=in_channels**-0.5)
        self.scale = nn.Parameter(torch.tensor(float(scale))) if learn_scale else float(scale)

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return logits (B, K) for features (B, D), or for the last of several."""
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            cosine = F.normalize(vectors) @ F.normalize(self.weight).T  # (B, K)
            return self.scale * cosine
